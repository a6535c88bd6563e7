# The processes of a training: what they look like from outside, how they are told to stop, and what happens when they die.
#
# Whatever happens, the run's row says what became of it, no process, lock or half a run is left, the model answers as before, and
# no other session notices, except where the worker itself is killed: then the server restarts its sessions, as for any of its own.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use Training;

my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init;
$node->append_conf('postgresql.conf', "restart_after_crash = on\nautovacuum = off\nmax_worker_processes = 4\nmax_parallel_workers = 0\n");
$node->start;
make_model($node, 'm');

my $before = answers($node, 'm');
my $stored = stored_runs($node, 'm');
my $log = -s $node->logfile;
my $witness = $node->background_psql('postgres');
my $witness_pid = $witness->query_safe('SELECT pg_backend_pid()');
my ($run, $worker, $child, $err, $start);

#
# Many threads and a small budget: what OpenBLAS maps for each thread comes on top of it. Without room it tries for ever.
#
make_model($node, 'crowded');
$node->psql('postgres', q{
    SET gnnrec.threads = 8;
    SET gnnrec.train_memory = '16MB';
    SELECT gnnrec.train('crowded', '{"steps": 50}');});
ok(within(sub { newest_run($node, 'crowded', 'status') ne 'running' && newest_run($node, 'crowded', 'status') ne 'starting' }, 30), 'many threads: the training ends');
is(newest_run($node, 'crowded', 'status, message'), 'succeeded|', 'many threads: it succeeds');

#
# A transaction that asks for a training and stays open, for longer than the worker waits for any other lock: its end is further
# down, but for the one slot it takes all the rest goes on meanwhile.
#
make_model($node, 'patient');
my $asker = $node->background_psql('postgres');
$asker->query_safe('BEGIN');
my $patient_run = $asker->query_safe(q{SELECT gnnrec.train('patient', '{"steps": 2}')});
my $asked_at = time;

#
# While it runs
#
($run, $worker, $child) = start_training($node, 'm');
ok(within(sub { $node->safe_psql('postgres', "SELECT step > 0 FROM gnnrec.progress WHERE model = 'm'") eq 't' }), 'steps are counted while it runs');
is($node->safe_psql('postgres', "SELECT run_id, state, phase, steps, loss IS NOT NULL, running_for > '0', pid, trained_by = current_user FROM gnnrec.progress WHERE model = 'm'"),
    "$run|running|fitting|100000|t|t|$worker|t", 'progress');
is($node->safe_psql('postgres', "SELECT newest_run_state FROM gnnrec.models WHERE name = 'm'"), 'running', 'models');
like($node->safe_psql('postgres', "SELECT concat_ws(' / ', datname, usename = current_user, application_name, backend_type, query) FROM pg_stat_activity WHERE pid = $worker"),
    qr{^postgres / t / gnnrec / gnnrec training / gnnrec: model m, run $run, fitting, step \d+ of 100000, loss -?\d+\.\d{4}$}, 'pg_stat_activity');
is($node->safe_psql('postgres', "SELECT count(*) FROM gnnrec.run_step WHERE run_id = $run AND (loss IS NULL OR seconds IS NULL OR ndcg IS NOT NULL)"), '0', 'steps are in run_step');
# but for the moment, once a second, when it writes how far it is
ok(within(sub { $node->safe_psql('postgres', "SELECT backend_xid IS NULL AND backend_xmin IS NULL FROM pg_stat_activity WHERE pid = $worker") eq 't' }),
    'the worker holds no snapshot while the child computes');
ok(within(sub { $node->safe_psql('postgres', "SELECT string_agg(locktype, ' ') FROM pg_locks WHERE pid = $worker") eq 'advisory' }), 'and no lock but the one that says so');
is(answers($node, 'm'), $before, 'the live run answers meanwhile');

# the child is no server process any more
my %child = Training::process($child);
is($child{group}, $child, 'the child has its own process group');
is(slurp_file("/proc/$child/oom_score_adj"), "1000\n", 'the child is the first to go when memory is short');
like(slurp_file("/proc/$child/limits"), qr/^Max data size\s+\d+/m, 'its memory is limited');
is(scalar(grep { !m{/(0|1|2)$} } glob("/proc/$child/fd/*")), 0, 'it has none of the server\'s files open');
is(scalar(grep { /^\S+ .w.s / } split(/\n/, slurp_file("/proc/$child/maps"))), 1, 'and of shared memory only where the result goes');

#
# Told to stop, in every way there is
#
my %stops = (
    'cancel(model)' => "SELECT gnnrec.cancel('m')",
    'cancel(run)' => 'SELECT gnnrec.cancel(RUN)',
    'pg_cancel_backend' => 'SELECT pg_cancel_backend(WORKER)',
    'pg_terminate_backend' => 'SELECT pg_terminate_backend(WORKER)',
);
for my $what (sort keys %stops)
{
    ($run, $worker, $child) = start_training($node, 'm') if !defined $run || newest_run($node, 'm', 'status') ne 'running';
    my $sql = $stops{$what} =~ s/RUN/$run/r =~ s/WORKER/$worker/r;
    $start = time;
    is($node->safe_psql('postgres', $sql), 't', "$what: says that there was something to stop");
    ok(within(sub { newest_run($node, 'm', 'status') ne 'running' }), "$what: stops");
    cmp_ok(time - $start, '<', 5, "$what: at once");
    is(newest_run($node, 'm', 'status, phase IS NULL, message, finished_at IS NOT NULL'),
        'cancelled|t|' . ($what =~ /terminate/ ? 'the worker was terminated' : 'cancelled on request') . '|t', "$what: the run says so");
    nothing_left_but_patient($what, $worker, $child);
}

# the open transaction's worker is still waiting, with its lock
sub nothing_left_but_patient
{
    my ($what, @processes) = @_;
    ok(within(sub { !grep { !is_gone($_) } @processes }), "$what: the processes are gone");
    is($node->safe_psql('postgres', "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = (SELECT model_id FROM gnnrec.model WHERE name = 'm')"),
        '0', "$what: no lock is left");
    is(stored_runs($node, 'm'), $stored, "$what: nothing of the run is stored");
}

# The functions of a view run in the worker. They may catch a cancellation, as in any session, but not a termination.
$node->safe_psql('postgres', q{
    CREATE FUNCTION stubborn(a int) RETURNS int VOLATILE LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_sleep(60); RETURN a; EXCEPTION WHEN query_canceled THEN PERFORM pg_sleep(60); RETURN a; END $$;
    CREATE VIEW stubborn_rows AS SELECT user_id, stubborn(item_id) AS item_id FROM rows_m LIMIT 1;
    SELECT gnnrec.create_model('stubborn', 'stubborn_rows');
    SELECT gnnrec.train('stubborn');});
ok(within(sub { $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'gnnrec training' AND wait_event = 'PgSleep'") }), 'a view takes its time');
$worker = newest_run($node, 'stubborn', 'pid');
$start = time;
$node->safe_psql('postgres', "SELECT pg_terminate_backend($worker)");
ok(within(sub { is_gone($worker) }), 'terminated while it reads: ends');
cmp_ok(time - $start, '<', 5, 'terminated while it reads: at once');
is(newest_run($node, 'stubborn', 'status, message'), 'cancelled|the worker was terminated', 'terminated while it reads: the run says so');

#
# The child dies
#
for my $signal ('KILL', 'SEGV', 'TERM')
{
    ($run, $worker, $child) = start_training($node, 'm');
    kill $signal, $child;
    ok(within(sub { newest_run($node, 'm', 'status') ne 'running' }), "child killed by $signal: noticed");
    like(newest_run($node, 'm', "status || ': ' || split_part(message, E'\\n', 1)"),
        $signal eq 'KILL' ? qr/^failed: the training process was killed$/ : qr/^failed: the training process was terminated by signal \d+: \w+/,
        "child killed by $signal: the run says so");
    nothing_left_but_patient("child killed by $signal", $worker, $child);
}
($err) = ($node->psql('postgres', "SELECT gnnrec.wait('m')"))[2];
like($err, qr/ERROR:  training of model "m" failed: run $run\nDETAIL:  the training process was terminated by signal 15/, 'wait passes the message on');
is($witness->query_safe('SELECT pg_backend_pid()'), $witness_pid, 'other sessions go on');
unlike(slurp_file($node->logfile, $log), qr/terminating any other active server processes/, 'the server has noticed nothing');

#
# A run that is called off after its worker has started and before it has written that it runs. The worker is stopped in between.
#
my $caller = $node->background_psql('postgres');
my $canceller = $node->background_psql('postgres');
my ($waiting) = (0);
$caller->query_safe('BEGIN');
$run = $caller->query_safe("SELECT gnnrec.train('m')");
ok(within(sub { $waiting = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'gnnrec training' AND wait_event = 'transactionid' AND pid NOT IN "
    . "(SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = (SELECT model_id FROM gnnrec.model WHERE name = 'patient'))") }),
    'the worker waits for the transaction that asked');
kill 'STOP', $waiting;
$caller->query_safe('COMMIT');
$canceller->query_safe('BEGIN');
is($canceller->query_safe("SELECT gnnrec.cancel($run)"), 't', 'a run that is starting is called off');
kill 'CONT', $waiting;
ok(within(sub { $node->safe_psql('postgres', "SELECT count(*) FROM pg_locks WHERE pid = $waiting AND NOT granted") }), 'its worker has read that it is to start');
$canceller->query_safe('COMMIT');
nothing_left_but_patient('called off', $waiting);
is(newest_run($node, 'm', 'status, message'), 'cancelled|cancelled before it started', 'called off: and it does not');
$canceller->quit;
$caller->quit;

#
# No worker slot is free: one is the launcher's of logical replication, one the open transaction's, two are left
#
make_model($node, $_) for ('other', 'late');
start_training($node, 'm');
my (undef, $other_worker, $other_child) = start_training($node, 'other');
$err = ($node->psql('postgres', "SELECT gnnrec.train('late')"))[2];
like($err, qr/ERROR:  no background worker slot is free for training\nHINT:  .*max_worker_processes/, 'no slot: the caller is told');
is($node->safe_psql('postgres', "SELECT count(*) FROM gnnrec.run JOIN gnnrec.model USING (model_id) WHERE name = 'late'"), '1', 'no slot: no run is left behind');
is($node->safe_psql('postgres', "SELECT gnnrec.cancel('other')"), 't', 'no slot: another training is stopped');
ok(within(sub { is_gone($other_worker) && is_gone($other_child) }), 'no slot: and ends');
$node->safe_psql('postgres', q{CALL gnnrec.retrain('late', '{"steps": 3}')});
is(newest_run($node, 'late', 'status'), 'succeeded', 'no slot: now there is one');

#
# The transaction that has been open all the time commits
#
ok(within(sub { time > $asked_at + 31 }), 'the transaction has been open for longer than lock_timeout');
$asker->query_safe('COMMIT');
is(($node->psql('postgres', "SELECT gnnrec.wait('patient')"))[1], 'succeeded', 'and its training starts all the same');
is(newest_run($node, 'patient', 'run_id, status'), "$patient_run|succeeded", 'it is the run that was asked for');
$asker->quit;

#
# A run is published, and the oldest deleted, while rollback is asked to go back to just that one
#
make_model($node, 'back');
my $first = newest_run($node, 'back', 'run_id');
$node->safe_psql('postgres', q{CALL gnnrec.retrain('back', '{"steps": 2}')});
my ($blocker, $returner) = map { $node->background_psql('postgres', on_error_stop => 0) } 1, 2;
$blocker->query_safe('BEGIN; LOCK TABLE back.item_embedding IN SHARE MODE');
$node->safe_psql('postgres', q{SELECT gnnrec.train('back', '{"steps": 2}')});
ok(within(sub { $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'gnnrec training' AND wait_event = 'relation'") }),
    'rollback while a run is published: the worker is in the middle');
$returner->query_until(qr/asked/, "\\echo asked\nSELECT gnnrec.rollback('back', $first);\n");
ok(within(sub { $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT gnnrec.rollback%' AND wait_event_type = 'Lock'") }),
    'rollback while a run is published: waits');
$blocker->query_safe('COMMIT');
$returner->query('SELECT 1');
is($node->safe_psql('postgres', "SELECT m.live_run, r.stored FROM gnnrec.model m JOIN gnnrec.run r ON r.run_id = m.live_run WHERE name = 'back'"),
    newest_run($node, 'back', 'run_id') . '|t', 'rollback while a run is published: finds that it is not kept');
is($node->safe_psql('postgres', 'SELECT count(*) FROM back.recommend(1)'), '10', 'rollback while a run is published: and answers');
$_->quit for $blocker, $returner;

#
# A run that is cancelled as it starts: whether the worker first says that it runs or is called off first, it is stopped
#
my $holder;
($caller, $canceller, $holder) = map { $node->background_psql('postgres') } 1 .. 3;
$caller->query_safe('BEGIN');
$run = $caller->query_safe("SELECT gnnrec.train('back')");
ok(within(sub { $waiting = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'gnnrec training' AND wait_event = 'transactionid'") }),
    'cancelled as it starts: the worker waits for the transaction that asked');
kill 'STOP', $waiting;
$caller->query_safe('COMMIT');
$holder->query_safe('BEGIN; LOCK TABLE gnnrec.run IN SHARE MODE');
kill 'CONT', $waiting;
ok(within(sub { $node->safe_psql('postgres', "SELECT count(*) FROM pg_locks WHERE pid = $waiting AND NOT granted AND locktype = 'relation'") }),
    'cancelled as it starts: the worker is about to say that it runs');
$canceller->query_until(qr/asked/, "\\echo asked\nSELECT gnnrec.cancel($run);\n");
ok(within(sub { $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT gnnrec.cancel%' AND wait_event = 'relation'") }),
    'cancelled as it starts: who cancels has seen it starting');
$holder->query_safe('COMMIT');
like($canceller->query_safe('SELECT 1'), qr/\bt\b/, 'cancelled as it starts: there was something to stop');
ok(within(sub { is_gone($waiting) }, 20), 'cancelled as it starts: the worker ends');
is(newest_run($node, 'back', 'status'), 'cancelled', 'cancelled as it starts: the run says so');
$_->quit for $holder, $canceller, $caller;

#
# The worker is killed: the server restarts, the run is lost
#
is($witness->query_safe('SELECT pg_backend_pid()'), $witness_pid, 'other sessions have gone on until here');
$worker = newest_run($node, 'm', 'pid');
$child = child_of($worker);
$run = newest_run($node, 'm', 'run_id');
kill 'KILL', $worker;
ok(within(sub { is_gone($child) }), 'worker killed: its child goes with it');
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_locks WHERE locktype = 'advisory'");
like(slurp_file($node->logfile, $log), qr/terminating any other active server processes/, 'worker killed: the server restarted its sessions');
eval { $witness->{run}->kill_kill };
nothing_left($node, 'm', $stored, 'worker killed', $worker, $child);
is(answers($node, 'm'), $before, 'worker killed: the live run answers as before');
is($node->safe_psql('postgres', "SELECT state FROM gnnrec.progress WHERE model = 'm'"), 'lost', 'worker killed: the run is lost');
$err = ($node->psql('postgres', "SELECT gnnrec.wait('m')"))[2];
like($err, qr/ERROR:  training of model "m" was lost: run $run/, 'worker killed: who waits is told');
is($node->safe_psql('postgres', "SELECT gnnrec.cancel('m')"), 'f', 'worker killed: there is nothing to cancel');
$node->safe_psql('postgres', q{CALL gnnrec.retrain('m', '{"steps": 3}')});
is(newest_run($node, 'm', 'status'), 'succeeded', 'worker killed: the next training succeeds');
is($node->safe_psql('postgres', "SELECT status || ': ' || message FROM gnnrec.run WHERE run_id = $run"),
    'lost: the worker ended without a word: the server was restarted, or it was killed', 'worker killed: and has cleared up');
is(answers($node, 'm'), $before, 'the same parameters: the same answers');
$node->stop;

done_testing();
