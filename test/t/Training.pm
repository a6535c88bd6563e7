# What tests of training have in common: a model whose training takes as long as one likes, and its processes.
package Training;

use strict;
use warnings;
use Exporter 'import';
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep time);

our @EXPORT = qw(make_model answers start_training newest_run children_of child_of within is_gone stored_runs nothing_left);

# the longest anything may take on a machine that is busy with other things
use constant PATIENCE => $PostgreSQL::Test::Utils::timeout_default;

# The model `name` of 600 users and 100 items in a table of the same name, with one run, trained in a moment. Its next training
# ends only when it is told to.
sub make_model
{
    my ($node, $name, %how) = @_;
    my $database = $how{database} // 'postgres';
    my $seed = $how{seed} // 1;

    $node->safe_psql($database, qq{
        CREATE EXTENSION IF NOT EXISTS gnnrec;
        CREATE TABLE rows_$name AS SELECT u AS user_id, (u % 4 * 25 + (u * 7 + n * 3) % 25) AS item_id
            FROM generate_series(1, 600) u, generate_series(1, 6) n;
        SELECT gnnrec.create_model('$name', 'rows_$name', params => '{"dim": 16, "steps": 100000, "negatives": 256}');
        CALL gnnrec.retrain('$name', '{"steps": 3, "seed": $seed}');});
}

# what the model recommends to everybody: one number
sub answers
{
    my ($node, $name, $database) = @_;
    return $node->safe_psql($database // 'postgres', qq{
        SELECT md5(string_agg(concat_ws(' ', u, item_id, score, rank), ',' ORDER BY u, rank)) FROM generate_series(1, 600) u, $name.recommend(u, 10)});
}

# true once the condition holds, polled
sub within
{
    my ($condition, $seconds) = @_;
    my $end = time + ($seconds // PATIENCE);

    until ($condition->())
    {
        return 0 if time > $end;
        usleep(20_000);
    }
    return 1;
}

# parent, state and process group of a process; empty: it is gone
sub process
{
    my ($pid) = @_;
    open(my $file, '<', "/proc/$pid/stat") or return;
    my $line = <$file> // '';
    return $line =~ /^\d+ \(.*\) (\S) (\d+) (\d+)/ ? (state => $1, parent => $2, group => $3) : ();
}

# a process that nobody has asked about its end yet is gone as well
sub is_gone
{
    my ($pid) = @_;
    my %process = process($pid);
    return !%process || $process{state} eq 'Z';
}

sub children_of
{
    my ($parent) = @_;
    my %process;
    return grep { %process = process($_); %process && $process{parent} == $parent && $process{state} ne 'Z' } map { m{(\d+)$} } glob('/proc/[0-9]*');
}

sub child_of
{
    return (children_of(@_))[0] // 0;
}

# a column, or several, of the model's newest run
sub newest_run
{
    my ($node, $name, $columns, $database) = @_;
    return $node->safe_psql($database // 'postgres', qq{SELECT $columns FROM gnnrec.run r JOIN gnnrec.model m USING (model_id)
        WHERE m.name = '$name' ORDER BY run_id DESC LIMIT 1});
}

# asks for a training that does not end, by its model's parameters or these, and waits for its child to compute; run, worker, child
sub start_training
{
    my ($node, $name, %how) = @_;
    my $database = $how{database} // 'postgres';
    my $params = $how{params} // '{}';
    my $run = $node->safe_psql($database, "SELECT gnnrec.train('$name', '$params')");
    my ($worker, $child) = (0, 0);

    within(sub { newest_run($node, $name, 'phase', $database) eq 'fitting' }) or BAIL_OUT('training does not start');
    $worker = newest_run($node, $name, 'pid', $database);
    within(sub { $child = child_of($worker) }) or BAIL_OUT('there is no training process');
    return ($run, $worker, $child);
}

sub stored_runs
{
    my ($node, $name) = @_;
    return $node->safe_psql('postgres', qq{SELECT string_agg(DISTINCT run_id::text, ' ') FROM
        (SELECT run_id FROM $name.user_embedding UNION ALL SELECT run_id FROM $name.item_embedding) r});
}

# neither process is there, the model's lock is free, and the tables hold what they held before
sub nothing_left
{
    my ($node, $name, $stored, $what, @processes) = @_;

    ok(within(sub { !grep { !is_gone($_) } @processes }), "$what: the processes are gone");
    is($node->safe_psql('postgres', "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), '0', "$what: no lock is left");
    is(stored_runs($node, $name), $stored, "$what: nothing of the run is stored");
}

1;
