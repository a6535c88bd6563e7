# pg_cron, as README.md has it: jobs that train each minute, from another database's cron, as a role that is no superuser. Two that
# ask for the same model in the same minute are one run; a run that fails is a job that fails.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Training;

# minutes are what it takes: up to one until the first jobs, and one more until the next
use constant MINUTE => 60;

chomp(my $sharedir = `pg_config --sharedir`);
plan skip_all => 'pg_cron is not installed (Debian: postgresql-NN-cron)' unless -e "$sharedir/extension/pg_cron.control";

my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init;
$node->append_conf('postgresql.conf', <<'CONF');
autovacuum = off
max_worker_processes = 16
shared_preload_libraries = 'pg_cron'
cron.database_name = 'postgres'
cron.use_background_workers = on
CONF
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_cron; CREATE ROLE seller LOGIN; CREATE DATABASE shop OWNER seller');
$node->safe_psql('shop', 'CREATE EXTENSION gnnrec');
my @as_seller = (extra_params => ['--username=seller']);
$node->safe_psql('shop', q{
    CREATE SCHEMA own;
    CREATE TABLE own.rows AS SELECT u AS user_id, u % 4 * 25 + (u * 7 + n * 3) % 25 AS item_id FROM generate_series(1, 200) u, generate_series(1, 6) n;
    CREATE TABLE own.nothing (user_id int, item_id int);
    SELECT gnnrec.create_model('shop', 'own.rows', params => '{"dim": 8, "steps": 3}');
    SELECT gnnrec.create_model('empty', 'own.nothing')}, @as_seller);

# what the jobs with such a command came to, one a line
sub outcomes
{
    my ($command) = @_;
    return $node->safe_psql('postgres', qq{SELECT d.status || ' ' || coalesce(substring(d.return_message FROM 'ERROR:[^\n]*'), d.return_message)
        FROM cron.job_run_details d WHERE command LIKE '$command%' ORDER BY runid});
}

sub runs
{
    my ($model) = @_;
    return $node->safe_psql('shop', "SELECT string_agg(r.run_id || ' ' || status, ', ' ORDER BY run_id) FROM gnnrec.run r JOIN gnnrec.model m USING (model_id)
        WHERE m.name = '$model'");
}

# nothing happens before the next minute: looking for it would only keep others from their work
sub sleep_to_next_minute
{
    sleep(MINUTE - time % MINUTE);
}

# the first run waits for the table until both jobs have asked for it
my $holder = $node->background_psql('shop');
$holder->query_safe('BEGIN; LOCK TABLE own.rows IN ACCESS EXCLUSIVE MODE');
$node->safe_psql('postgres', qq{SELECT cron.schedule_in_database('$_->[0]', '* * * * *', \$\$$_->[1]\$\$, 'shop', 'seller')})
    for (['nightly', "CALL gnnrec.retrain('shop')"], ['impatient', "SELECT gnnrec.train('shop')"], ['hopeless', "CALL gnnrec.retrain('empty')"]);
sleep_to_next_minute();
ok(within(sub { outcomes('SELECT gnnrec.train') =~ /^succeeded/ }, MINUTE + Training::PATIENCE), 'jobs start with the minute');
ok(within(sub { $node->safe_psql('shop', "SELECT count(*) FROM pg_stat_activity WHERE query = 'CALL gnnrec.retrain(''shop'')'") eq '1' }),
    'the waiting one waits');
like(runs('shop'), qr/^\d+ (starting|running)$/, 'two jobs that overlap are one run');
$node->safe_psql('postgres', q{SELECT cron.unschedule(jobid) FROM cron.job WHERE jobname <> 'nightly'});
$holder->query_safe('ROLLBACK');
$holder->quit;

ok(within(sub { outcomes(q{CALL gnnrec.retrain(''shop'')}) =~ /^succeeded/ }), 'the job ends with its run');
like(runs('shop'), qr/^\d+ succeeded$/, 'which succeeded');
is($node->safe_psql('shop', 'SELECT count(*) FROM shop.recommend(1, 10)', @as_seller), '10', 'and answers');
is($node->safe_psql('shop', 'SELECT DISTINCT trained_by FROM gnnrec.run'), 'seller', 'it was trained by the role of the job');
like(outcomes("CALL gnnrec.retrain(''empty'')"), qr/^failed .*training of model "empty" failed/, 'a run that fails is a job that fails');
like(newest_run($node, 'empty', 'status || message', 'shop'), qr/^failed.*no interactions to learn from/s, 'its row says why');

sleep_to_next_minute();
ok(within(sub { runs('shop') =~ /^\d+ succeeded, \d+ succeeded$/ }, MINUTE + Training::PATIENCE), 'the next minute trains again');
ok(within(sub { outcomes(q{CALL gnnrec.retrain(''shop'')}) =~ /^succeeded.*\nsucceeded/ }), 'and is the same job');
is($node->safe_psql('shop', q{SELECT live_run = (SELECT max(run_id) FROM gnnrec.run WHERE stored) FROM gnnrec.model WHERE name = 'shop'}), 't', 'whose run is live');
$node->safe_psql('postgres', 'SELECT cron.unschedule(jobid) FROM cron.job');
$node->stop;

done_testing();
