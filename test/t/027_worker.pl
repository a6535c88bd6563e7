# What a worker meets between its order and its end: settings of roles that are not meant for it, prepared transactions, others who
# hold locks on its run's row, a memory limit, a reload, several that are asked for at once, and an extension that is dropped.
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

my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init;
$node->append_conf('postgresql.conf', "autovacuum = off\nmax_prepared_transactions = 2\nmax_worker_processes = 8\n");
$node->start;
make_phased_model($node, 'p');

my $before = answers($node, 'p');
my ($run, $worker, $child, $start, $err);
my $workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'gnnrec training'";

sub n_runs
{
    return $node->safe_psql('postgres', "SELECT count(*) FROM gnnrec.run JOIN gnnrec.model USING (model_id) WHERE name = 'p'");
}

sub state_of
{
    my ($run) = @_;
    return $node->safe_psql('postgres', "SELECT gnnrec.run_state(model_id, status, requested_at) FROM gnnrec.run WHERE run_id = $run");
}

# before 17 a background worker cannot connect as such a role; from then on it can
$node->safe_psql('postgres', 'CREATE ROLE nobody NOLOGIN SUPERUSER');
$err = ($node->psql('postgres', "SET SESSION AUTHORIZATION nobody; CALL gnnrec.retrain('p')"))[2];
if ($node->pg_version < 17)
{
    like($err, qr/ERROR:  role "nobody" is not permitted to log in, which the worker of a training would do\nHINT:  SET ROLE/,
        'a session user who may not log in: the caller is told');
    is(n_runs(), 1, 'a session user who may not log in: no run is left behind');
}
else
{
    is($err, '', 'a session user who may not log in: can train');
}

#
# Time limits. Those of a role are for its sessions, not for the worker that connects as it; those of a session that waits are its own.
#
$node->safe_psql('postgres', q{
    CREATE ROLE hurried LOGIN SUPERUSER;
    ALTER ROLE hurried SET statement_timeout = '1ms';
    ALTER ROLE hurried SET idle_in_transaction_session_timeout = '1ms';
    ALTER ROLE hurried SET lock_timeout = '1ms';
    ALTER ROLE hurried SET default_transaction_isolation = 'serializable';
    ALTER ROLE hurried SET default_transaction_read_only = on;
    ALTER ROLE hurried SET search_path = 'nowhere';
    ALTER DATABASE postgres SET statement_timeout = '10s';});
my $view = 'CREATE OR REPLACE VIEW phased AS SELECT user_id, item_id FROM phased_rows WHERE (SELECT gate(1))';
$node->safe_psql('postgres', "$view AND (SELECT pg_sleep(0.2) IS NOT NULL)");
$node->safe_psql('postgres', q{SET SESSION AUTHORIZATION hurried; CALL gnnrec.retrain('p')});
$node->safe_psql('postgres', $view);
is(newest_run($node, 'p', 'status, message'), 'succeeded|', 'settings of the role that trains are not for the worker');
is(answers($node, 'p'), $before, 'and change nothing');
$node->safe_psql('postgres', 'ALTER DATABASE postgres RESET statement_timeout');

for my $sql ("SELECT gnnrec.wait('p')", q{CALL gnnrec.retrain('p')})
{
    ($run, $worker) = stop_in($node, 'p', 'reading');
    $err = ($node->psql('postgres', "SET statement_timeout = '100ms'; $sql"))[2];
    like($err, qr/ERROR:  canceling statement due to statement timeout/, "statement_timeout of $sql: has an end");
    let_go();
    is($node->safe_psql('postgres', "SELECT gnnrec.wait('p')"), 'succeeded', "statement_timeout of $sql: the training goes on");
}

my $n = n_runs();
my $idle = $node->background_psql('postgres', on_error_stop => 0);
$idle->query(q{SET idle_in_transaction_session_timeout = '200ms'; BEGIN; SELECT gnnrec.train('p')});
ok(within(sub { $node->safe_psql('postgres', $workers) }), 'an idle transaction has asked for a training');
ok(within(sub { !$node->safe_psql('postgres', $workers) }), 'idle_in_transaction_session_timeout: its worker ends');
is(n_runs(), $n, 'idle_in_transaction_session_timeout: there is no run');
eval { $idle->{run}->kill_kill };

#
# Prepared transactions: the training starts when one commits
#
my $prepare = q{BEGIN; SELECT gnnrec.train('p'); PREPARE TRANSACTION 'asked'};
$node->safe_psql('postgres', $prepare);
ok(within(sub { $node->safe_psql('postgres', "$workers AND wait_event = 'transactionid'") }), 'a prepared transaction is waited for');
is(n_runs(), $n, 'a prepared transaction: there is no run yet');
$node->safe_psql('postgres', q{COMMIT PREPARED 'asked'});
is($node->safe_psql('postgres', "SELECT gnnrec.wait('p')"), 'succeeded', 'COMMIT PREPARED: it trains');
is(n_runs(), ++$n, 'COMMIT PREPARED: this run');
$node->safe_psql('postgres', $prepare);
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'asked'});
ok(within(sub { !$node->safe_psql('postgres', $workers) }), 'ROLLBACK PREPARED: the worker ends');
is(n_runs(), $n, 'ROLLBACK PREPARED: there is no run');
$node->safe_psql('postgres', $prepare);
$node->restart;
$node->safe_psql('postgres', q{COMMIT PREPARED 'asked'; UPDATE gnnrec.run SET requested_at = requested_at - interval '1 minute'});
is($node->safe_psql('postgres', "SELECT newest_run_state FROM gnnrec.models WHERE name = 'p'"), 'lost', 'COMMIT PREPARED after a restart: the run is lost');
$node->safe_psql('postgres', q{CALL gnnrec.retrain('p')});
is(newest_run($node, 'p', 'status'), 'succeeded', 'COMMIT PREPARED after a restart: the next one is not');

#
# Someone holds a lock on the run's row, or on its table: a worker that is told to end ends; one that has failed waits, and says why
#
my $witness = $node->background_psql('postgres');
my $witness_pid = $witness->query_safe('SELECT pg_backend_pid()');
my $log = -s $node->logfile;
for my $lock ('SELECT FROM gnnrec.run FOR UPDATE', 'LOCK TABLE gnnrec.run IN SHARE MODE')
{
    my $holder = $node->background_psql('postgres');
    ($run, $worker, $child) = stop_in($node, 'p', 'fitting');
    $holder->query_safe("BEGIN; $lock");
    $start = time;
    $node->safe_psql('postgres', "SELECT pg_terminate_backend($worker)");
    ok(within(sub { is_gone($worker) && is_gone($child) }, 20), "$lock, terminated: the processes are gone");
    cmp_ok(time - $start, '<', 5, "$lock, terminated: soon");
    is(state_of($run), 'lost', "$lock, terminated: the run is lost");
    $holder->query_safe('COMMIT');

    ($run, $worker, $child) = stop_in($node, 'p', 'fitting');
    $holder->query_safe("BEGIN; $lock");
    kill 'SEGV', $child;
    ok(within(sub { is_gone($child) }), "$lock, child killed: it is gone");
    ok(within(sub { $node->safe_psql('postgres', "$workers AND wait_event_type = 'Lock'") }), "$lock, child killed: the worker waits");
    $holder->query_safe('COMMIT');
    ok(within(sub { is_gone($worker) }), "$lock, child killed: it has waited");
    is(newest_run($node, 'p', "concat_ws(' ', status, split_part(message, E'\\n', 1))"),
        'failed the training process was terminated by signal 11: Segmentation fault', "$lock, child killed: the run says so");

    ($run, $worker, $child) = stop_in($node, 'p', 'fitting');
    $holder->query_safe("BEGIN; $lock");
    kill 'SEGV', $child;
    ok(within(sub { $node->safe_psql('postgres', "$workers AND wait_event_type = 'Lock'") }), "$lock, child killed, terminated: the worker waits");
    $start = time;
    $node->safe_psql('postgres', "SELECT pg_terminate_backend($worker)");
    ok(within(sub { is_gone($worker) }, 20), "$lock, child killed, terminated: it is gone");
    cmp_ok(time - $start, '<', 5, "$lock, child killed, terminated: soon");
    $holder->quit;
}

#
# The memory limit of the training process: an operating system's here, because the estimate holds what it promises
#
SKIP: {
    skip 'there is no prlimit', 2 if system('prlimit --version >/dev/null 2>&1') != 0;
    my $gate = $node->background_psql('postgres');
    $gate->query_safe('SELECT pg_advisory_lock(1)');
    $node->safe_psql('postgres', q{SET gnnrec.threads = 1; SELECT gnnrec.train('p', '{"dim": 1024, "negatives": 65536}')});
    ok(within(sub { $node->safe_psql('postgres', "$workers AND wait_event = 'advisory'") }), 'memory limit: the worker reads');
    system('prlimit', '--data=600000000', '--pid', newest_run($node, 'p', 'pid')) == 0 or BAIL_OUT('no limit can be set');
    $gate->quit;
    like(($node->psql('postgres', "SELECT gnnrec.wait('p')"))[2], qr/DETAIL:  out of memory: training could not get another \d+ bytes/, 'memory limit: the run fails and says why');
}
is($witness->query_safe('SELECT pg_backend_pid()'), $witness_pid, 'memory limit: other sessions go on');

#
# The configuration is changed and read again while it trains
#
$node->safe_psql('postgres', q{
    CREATE TABLE seen (work_mem text);
    CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.seen VALUES (current_setting('work_mem')); RETURN NULL; END $$;
    CREATE TRIGGER see AFTER INSERT ON p.item_embedding EXECUTE FUNCTION see();});
($run, $worker) = stop_in($node, 'p', 'reading');
$node->safe_psql('postgres', q{ALTER SYSTEM SET work_mem = '7MB'});
$node->safe_psql('postgres', 'SELECT pg_reload_conf()');
$node->poll_query_until('postgres', "SELECT current_setting('work_mem') = '7MB'");
let_go();
$node->safe_psql('postgres', "SELECT gnnrec.wait('p')");
is($node->safe_psql('postgres', 'SELECT DISTINCT work_mem FROM seen'), '7MB', 'a reload reaches the worker');

#
# Four sessions ask at once, again and again: each is given a run, and there is never more than one at a time
#
$node->safe_psql('postgres', 'DROP TRIGGER see ON p.item_embedding');
$n = n_runs();
$node->pgbench('--no-vacuum --client=4 --transactions=8', 0, [qr{processed: 32/32}], [qr/being trained already/], 'four sessions at once: no error',
    {'asks' => q{SELECT gnnrec.train('p'); SELECT gnnrec.wait('p');}});
is($node->safe_psql('postgres', "SELECT gnnrec.wait('p')"), 'succeeded', 'four sessions at once: the last training succeeds');
is($node->safe_psql('postgres', qq{SELECT string_agg(DISTINCT status, ' '), count(*) > 1, bool_or(too_early) FROM
    (SELECT status, started_at < lag(finished_at) OVER (ORDER BY run_id) AS too_early FROM gnnrec.run JOIN gnnrec.model USING (model_id)
     WHERE name = 'p' ORDER BY run_id OFFSET $n) r}), 'succeeded|t|f', 'four sessions at once: so do the others, one after the other');

#
# The extension is dropped
#
($run, $worker, $child) = stop_in($node, 'p', 'fitting');
$log = -s $node->logfile;
$node->safe_psql('postgres', 'SET client_min_messages = error; DROP EXTENSION gnnrec CASCADE');
ok(within(sub { is_gone($worker) && is_gone($child) }), 'DROP EXTENSION: the processes are gone');
my @errors = slurp_file($node->logfile, $log) =~ /(?:ERROR|FATAL|PANIC): .*/g;
is(scalar(@errors), 1, 'DROP EXTENSION: there is one complaint in the log') or diag(@errors);

#
# The postmaster is killed while a query runs that never waits for anything
#
$node->safe_psql('postgres', 'CREATE VIEW endless AS SELECT (n % 600)::int AS user_id, (n % 100)::int AS item_id FROM generate_series(1, 100000) a, generate_series(1, 100000) n');
$node->safe_psql('postgres', q{CREATE EXTENSION gnnrec; SELECT gnnrec.create_model('endless', 'endless');});
$node->safe_psql('postgres', q{SET gnnrec.train_memory = '100GB'; SELECT gnnrec.train('endless');});
ok(within(sub { $node->safe_psql('postgres', "$workers AND query LIKE '%reading, % rows'") }), 'postmaster killed: the worker reads');
$worker = newest_run($node, 'endless', 'pid');
eval { $witness->{run}->kill_kill };
$node->kill9;
ok(within(sub { is_gone($worker) }, 20), 'postmaster killed: the worker is gone') or kill('KILL', $worker);
unlink $node->data_dir . '/postmaster.pid', $node->host . '/.s.PGSQL.' . $node->port . '.lock';

done_testing();
