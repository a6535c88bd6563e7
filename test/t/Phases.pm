# A training that stops where a test wants it, from SQL alone.
#
# Its source is a view that passes a gate, an advisory lock, before it gives its rows; a trigger on the items' table passes another.
# Who holds the lock stops the training there. When a run has just gone live the tables are locked by a session that has been
# waiting for them in front of the worker, which then waits to make the snapshot.
package Phases;

use strict;
use warnings;
use Exporter 'import';
use Test::More;
use Training;

our @EXPORT = qw(make_phased_model stop_in let_go abandon);

use constant {READING_GATE => 1, STORING_GATE => 2};

my %gates = (reading => READING_GATE, storing => STORING_GATE, snapshot => STORING_GATE);
my @holders;

# the model `name` with one run; its trainings take three steps, but for those that are to be stopped while they fit
sub make_phased_model
{
    my ($node, $name) = @_;

    $node->safe_psql('postgres', q{
        CREATE EXTENSION IF NOT EXISTS gnnrec;
        CREATE OR REPLACE FUNCTION gate(n int) RETURNS boolean VOLATILE LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_advisory_xact_lock_shared(n); RETURN true; END $$;
        CREATE OR REPLACE FUNCTION storing_gate() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM public.gate(2); RETURN NULL; END $$;
        CREATE TABLE IF NOT EXISTS phased_rows AS SELECT u AS user_id, (u % 4 * 25 + (u * 7 + n * 3) % 25) AS item_id
            FROM generate_series(1, 600) u, generate_series(1, 6) n;
        CREATE OR REPLACE VIEW phased AS SELECT user_id, item_id FROM phased_rows WHERE (SELECT gate(1));});
    $node->safe_psql('postgres', qq{
        SELECT gnnrec.create_model('$name', 'phased', params => '{"dim": 8, "steps": 3, "negatives": 64}');
        CREATE TRIGGER gate BEFORE INSERT ON $name.item_embedding EXECUTE FUNCTION storing_gate();
        CALL gnnrec.retrain('$name');});
}

sub hold
{
    my ($node, $sql) = @_;
    my $session = $node->background_psql('postgres');

    $session->query_safe($sql);
    push @holders, $session;
}

# asks for a lock that others hold, and returns
sub queue_for
{
    my ($node, $sql) = @_;
    my $session = $node->background_psql('postgres');

    $session->query_until(qr/asked/, "\\echo asked\n$sql;\n");
    push @holders, $session;
    await($node, "query LIKE 'LOCK TABLE%' AND wait_event = 'relation'");
}

sub await
{
    my ($node, $condition) = @_;
    within(sub { $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE $condition") }) or BAIL_OUT("nobody waits: $condition");
}

# ends the sessions that keep a training from going on; it does so
sub let_go
{
    $_->quit for @holders;
    @holders = ();
}

# the same, of a server that is no more
sub abandon
{
    eval { $_->{run}->kill_kill } for @holders;
    @holders = ();
}

# a training that has got to the phase, and stays there: run and worker
sub stop_in
{
    my ($node, $name, $phase) = @_;

    return start_training($node, $name, params => '{"steps": 100000}') if $phase eq 'fitting';
    hold($node, "SELECT pg_advisory_lock($gates{$phase})");
    my $run = $node->safe_psql('postgres', "SELECT gnnrec.train('$name')");
    await($node, "backend_type = 'gnnrec training' AND wait_event = 'advisory'");
    my $worker = newest_run($node, $name, 'pid');
    if ($phase eq 'snapshot')
    {
        my $gate = shift @holders;
        queue_for($node, "BEGIN; LOCK TABLE $name.user_embedding IN ACCESS EXCLUSIVE MODE");
        $gate->quit;
        await($node, "pid = $worker AND wait_event = 'relation' AND query LIKE '%writing the snapshot'");
    }
    return ($run, $worker);
}

1;
