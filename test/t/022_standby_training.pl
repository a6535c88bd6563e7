# A hot standby: it serves the runs from before it was made and from after, shows the primary's training, and does not train;
# promoted it does.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Training;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', "autovacuum = off\n");
$primary->start;
make_model($primary, 'm');
$primary->backup('base');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

$primary->wait_for_catchup($standby);
my $first = answers($primary, 'm');
is(answers($standby, 'm'), $first, 'a run from before the standby was made');
$primary->safe_psql('postgres', q{CALL gnnrec.retrain('m', '{"steps": 3, "seed": 2}')});
$primary->wait_for_catchup($standby);
my $second = answers($primary, 'm');
isnt($second, $first, 'another run answers otherwise');
is(answers($standby, 'm'), $second, 'and does so on the standby');
$primary->safe_psql('postgres', "SELECT gnnrec.rollback('m')");
$primary->wait_for_catchup($standby);
is(answers($standby, 'm'), $first, 'a rollback arrives there as well');

# what has to be done on the primary
my %refused = (
    "SELECT gnnrec.train('m')" => qr/ERROR:  a model cannot be trained on a standby\nHINT:  Train on the primary/,
    "CALL gnnrec.retrain('m')" => qr/ERROR:  a model cannot be trained on a standby\nHINT:  Train on the primary/,
    "SELECT gnnrec.cancel('m')" => qr/ERROR:  cannot execute gnnrec\.cancel\(\) during recovery/,
    "SELECT gnnrec.rollback('m')" => qr/ERROR:  cannot (?:execute|acquire|assign)/,
    "SELECT gnnrec.drop_model('m')" => qr/ERROR:  cannot (?:execute|acquire|assign)/,
    "SELECT gnnrec.create_model('n', 'rows_m')" => qr/ERROR:  cannot execute/,
);
for my $sql (sort keys %refused)
{
    like(($standby->psql('postgres', $sql))[2], $refused{$sql}, "standby: $sql");
}

# the primary's training, seen from the standby, where no one holds its lock and its pid is another's
my ($run, $worker, $child) = start_training($primary, 'm');
ok(within(sub { newest_run($standby, 'm', 'run_id, phase') eq "$run|fitting" }), 'a training on the primary is seen on the standby');
is($standby->safe_psql('postgres', "SELECT run_id, state FROM gnnrec.progress"), "$run|running", 'it is not taken for lost');
is($standby->safe_psql('postgres', "SELECT gnnrec.wait('m', '1 millisecond')"), 'running', 'it can be waited for');
like(($standby->psql('postgres', "SELECT gnnrec.cancel($run)"))[2], qr/ERROR:  cannot execute gnnrec\.cancel\(\) during recovery/, 'but not cancelled');
ok(!is_gone($child), 'and goes on');

# the primary is lost, the standby takes its place
$primary->stop('immediate');
$standby->promote;
is(answers($standby, 'm'), $first, 'promoted: it answers as before');
is($standby->safe_psql('postgres', "SELECT run_id, state FROM gnnrec.progress"), "$run|lost", 'promoted: the training of the old primary is lost');
$standby->safe_psql('postgres', q{CALL gnnrec.retrain('m', '{"steps": 3, "seed": 2}')});
is(answers($standby, 'm'), $second, 'promoted: it trains, and the same seed gives the same answers');
$standby->stop;

done_testing();
