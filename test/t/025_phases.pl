# A training that is told to stop, or whose server is, in each of its phases: while it reads, fits, stores, and while it makes the
# snapshot of a run that is live already.
#
# Until a run is live nothing of it is left, and the run before it goes on answering; from then on it is live whatever happens, and
# the first who asks makes the snapshot. In every case the processes go at once and the next training succeeds.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use Training;
use Phases;

my @phases = ('reading', 'fitting', 'storing', 'snapshot');

my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init;
$node->append_conf('postgresql.conf', "restart_after_crash = on\nautovacuum = off\n");
$node->start;
make_phased_model($node, 'p');

my $before = answers($node, 'p');
my ($run, $worker, $child, $start);

sub live_run
{
    return $node->safe_psql('postgres', "SELECT live_run FROM gnnrec.model WHERE name = 'p'");
}

# what has become of the run, and of all that it had
sub check
{
    my ($what, $phase, $live, $stored, $status) = @_;

    if ($phase eq 'snapshot')
    {
        is(live_run(), $run, "$what: the run is live");
        $status = 'succeeded';
    }
    else
    {
        is(live_run(), $live, "$what: the run before it is live");
        is(stored_runs($node, 'p'), $stored, "$what: nothing of the run is stored");
    }
    is($node->safe_psql('postgres', "SELECT gnnrec.run_state(model_id, status, requested_at) FROM gnnrec.run WHERE run_id = $run"),
        $status, "$what: the run says so");
    is($node->safe_psql('postgres', "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), '0', "$what: no lock is left");
    is(answers($node, 'p'), $before, "$what: it answers as before");
}

#
# The training alone
#
my %tell = (
    'cancelled on request' => "SELECT pg_cancel_backend(WORKER)",
    'the worker was terminated' => "SELECT pg_terminate_backend(WORKER)",
);
for my $phase (@phases)
{
    for my $message (sort keys %tell)
    {
        my ($live, $stored) = (live_run(), stored_runs($node, 'p'));
        my $what = "$phase, $message";
        ($run, $worker, $child) = stop_in($node, 'p', $phase);
        $start = time;
        $node->safe_psql('postgres', $tell{$message} =~ s/WORKER/$worker/r);
        ok(within(sub { is_gone($worker) && (!defined $child || is_gone($child)) }), "$what: the processes are gone");
        cmp_ok(time - $start, '<', 5, "$what: at once");
        let_go();
        check($what, $phase, $live, $stored, 'cancelled');
        is(newest_run($node, 'p', 'message'), $phase eq 'snapshot' ? '' : $message, "$what: and why");
    }
}

#
# The server: in fitting, 020_training.pl and 021_shutdown.pl do the same
#
my %down = (
    'fast shutdown' => sub { $node->stop('fast') },
    'immediate shutdown' => sub { $node->stop('immediate') },
    'postmaster killed' => sub { $node->kill9; },
    'worker killed' => sub { kill 'KILL', $worker },
);
for my $phase (grep { $_ ne 'fitting' } @phases)
{
    for my $event (sort keys %down)
    {
        my $what = "$phase, $event";
        my ($live, $stored) = (live_run(), stored_runs($node, 'p'));
        my @servers = children_of(slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/);
        ($run, $worker) = stop_in($node, 'p', $phase);
        $start = time;
        $down{$event}->();
        ok(within(sub { is_gone($worker) }), "$what: the worker is gone");
        cmp_ok(time - $start, '<', 10, "$what: at once");
        abandon();
        if ($event eq 'postmaster killed')
        {
            # its process counts as running until someone has asked about its end
            within(sub { !grep { !is_gone($_) } @servers });
            unlink $node->data_dir . '/postmaster.pid', $node->host . '/.s.PGSQL.' . $node->port . '.lock';
        }
        $event eq 'worker killed' ? $node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_locks WHERE locktype = 'advisory'") : $node->start;
        # a worker that sees its postmaster go has time for a last word, one that is told to quit has none
        check($what, $phase, $live, $stored, $event =~ /fast|postmaster/ ? 'cancelled' : 'lost');
    }
}

#
# Asked for while the run before it is live and makes its snapshot, however long that takes: it waits for its turn
#
($run, $worker) = stop_in($node, 'p', 'snapshot');
is($node->safe_psql('postgres', "SELECT gnnrec.wait('p')"), 'succeeded', 'a run is over when it is live');
my $next = $node->safe_psql('postgres', "SELECT gnnrec.train('p')");
cmp_ok($next, '>', $run, 'another one can be asked for');
ok(within(sub { $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'gnnrec training' AND wait_event = 'advisory'") }),
    'it waits for the first to end');
is(newest_run($node, 'p', 'status'), 'starting', 'and says so');
let_go();
is($node->safe_psql('postgres', "SELECT gnnrec.wait('p')"), 'succeeded', 'and succeeds');
is(live_run(), $next, 'it is live');

#
# The model is dropped
#
for my $phase (@phases)
{
    make_phased_model($node, "dropped_$phase");
    ($run, $worker, $child) = stop_in($node, "dropped_$phase", $phase);
    my $dropper = $node->background_psql('postgres');
    $dropper->query_until(qr/asked/, "\\echo asked\nSELECT gnnrec.drop_model('dropped_$phase');\n");
    ok(within(sub { is_gone($worker) && (!defined $child || is_gone($child)) }), "$phase, drop_model: the processes are gone");
    let_go();
    $dropper->query_safe('SELECT 1');
    $dropper->quit;
    is($node->safe_psql('postgres', "SELECT count(*) FROM pg_namespace WHERE nspname = 'dropped_$phase'"), '0', "$phase, drop_model: the schema is gone");
    is($node->safe_psql('postgres', "SELECT count(*) FROM gnnrec.run r LEFT JOIN gnnrec.model m USING (model_id) WHERE m.name IS DISTINCT FROM 'p'"), '0',
        "$phase, drop_model: so are its runs");
}

# snapshots of the runs that are kept, finished ones, and no other file
my @files = grep { !/^\.\.?$/ } slurp_dir($node->data_dir . '/base/pgsql_tmp');
is(join(' ', sort map { /^pgsql_tmp_gnnrec_\d+_\d+_(\d+)$/ ? $1 : $_ } @files), stored_runs($node, 'p'), 'no file is left behind');
$node->stop;

done_testing();
