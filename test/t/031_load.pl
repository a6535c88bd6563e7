# Sixteen clients recommend as fast as they are answered, alone and beside a training of one thread, in turns: no error, and the
# slow calls are not slower by much. For more of it: test/bench/load.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Training;

# a call of a fraction of a millisecond may have to wait for the end of one slice of a processor's time, whoever has it
use constant {TURNS => 3, SECONDS => 3, SLOWER => 3, SLICE => 4};

my $node = PostgreSQL::Test::Cluster->new('load');
$node->init;
$node->append_conf('postgresql.conf', "max_worker_processes = 16\nfsync = off\n");
$node->start;
$node->safe_psql('postgres', q{
    CREATE EXTENSION gnnrec;
    CREATE TABLE events AS SELECT u AS user_id, (u % 8 * 500 + (u * 7 + n * n * 3) % 500) AS item_id
        FROM generate_series(1, 4000) u, generate_series(1, 12) n;
    CREATE INDEX ON events (user_id);
    SELECT gnnrec.create_model('load', 'events', params => '{"dim": 64, "steps": 100000}');
    CALL gnnrec.retrain('load', '{"steps": 3}');});

my $logs = PostgreSQL::Test::Utils::tempdir;
append_to_file("$logs/ask.sql", "\\set u random(1, 4000)\nSELECT * FROM load.recommend(:u, 20);\n");

# milliseconds of the 99th hundredth of the calls; dies with the first that fails
sub slow_calls
{
    my ($name) = @_;

    $node->command_ok(['pgbench', '--no-vacuum', '--protocol=prepared', '--client=16', '--jobs=2', '--time=' . SECONDS, '--log',
        "--log-prefix=$logs/$name", "--file=$logs/ask.sql", 'postgres'], "$name: every call is answered");
    my @calls = sort { $a <=> $b } map { (split)[2] } map { split /\n/, slurp_file($_) } glob("$logs/$name.*");
    cmp_ok(scalar @calls, '>', 1000, "$name: there were many");
    return $calls[int(@calls * 0.99)] / 1000;
}

sub middle
{
    return (sort { $a <=> $b } @_)[@_ / 2];
}

my (@alone, @beside);
for my $turn (1 .. TURNS)
{
    push @alone, slow_calls("alone$turn");
    $node->safe_psql('postgres', "SET gnnrec.threads = 1; SELECT gnnrec.train('load')");
    within(sub { newest_run($node, 'load', 'phase') eq 'fitting' }) or BAIL_OUT('training does not start');
    push @beside, slow_calls("beside$turn");
    is(newest_run($node, 'load', 'phase'), 'fitting', 'the training was going on all the time');
    $node->safe_psql('postgres', "SELECT gnnrec.cancel('load')");
    within(sub { newest_run($node, 'load', 'status') eq 'cancelled' }) or BAIL_OUT('training does not end');
}
cmp_ok(middle(@beside), '<=', SLOWER * middle(@alone) + SLICE, sprintf('99 of 100 calls took at most %.1f ms beside a training, %.1f alone',
    middle(@beside), middle(@alone)));

$node->stop;
done_testing();
