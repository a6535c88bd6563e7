# Logical replication: a subscriber that has the definitions and subscribes to the embedding tables and to the extension's own
# serves each run as soon as it has arrived, beside models of its own; and can take over.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Training;

my $publisher = PostgreSQL::Test::Cluster->new('publisher');
$publisher->init(allows_streaming => 'logical');
$publisher->append_conf('postgresql.conf', "autovacuum = off\n");
$publisher->start;
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init(allows_streaming => 'logical');
$subscriber->append_conf('postgresql.conf', "autovacuum = off\nwal_retrieve_retry_interval = 100ms\nmax_worker_processes = 16\n");
$subscriber->start;
my $connection = $publisher->connstr . ' dbname=postgres';
my $dump = "$PostgreSQL::Test::Utils::tmp_check/definitions";

# definitions of the publisher's database, some or all, at the subscriber
sub copy_definitions
{
    my ($database, @which) = @_;
    $publisher->command_ok(['pg_dump', '--schema-only', '--no-publications', "--file=$dump", @which, 'postgres'], "definitions dumped: $database @which");
    $subscriber->command_ok(['psql', '--no-psqlrc', '--quiet', '--set=ON_ERROR_STOP=1', '--output=' . File::Spec->devnull, "--file=$dump", $database],
        "definitions restored: $database @which");
}

sub follows
{
    my ($database, $subscription, $what) = @_;
    $publisher->wait_for_catchup($subscription);
    is(answers($subscriber, 'm', $database), answers($publisher, 'm'), $what);
}

make_model($publisher, 'm');
my $first = answers($publisher, 'm');

#
# The whole database
#
$subscriber->safe_psql('postgres', 'CREATE DATABASE whole');
copy_definitions('whole');
$publisher->safe_psql('postgres', 'CREATE PUBLICATION everything FOR ALL TABLES');
$subscriber->safe_psql('whole', "CREATE SUBSCRIPTION whole CONNECTION '$connection' PUBLICATION everything");
$subscriber->wait_for_subscription_sync($publisher, 'whole', 'whole');
is(answers($subscriber, 'm', 'whole'), $first, 'whole: what was trained before arrives with the first copy');

#
# One model, where there are others, which have their numbers elsewhere
#
$subscriber->safe_psql('postgres', 'CREATE DATABASE beside');
$subscriber->safe_psql('beside', q{CREATE EXTENSION gnnrec; ALTER SEQUENCE gnnrec.model_model_id_seq RESTART 1001; ALTER SEQUENCE gnnrec.run_run_id_seq RESTART 1001});
make_model($subscriber, 'ours', database => 'beside', seed => 3);
my $ours = answers($subscriber, 'ours', 'beside');
copy_definitions('beside', '--schema=m');
copy_definitions('beside', '--table=rows_m');
# before 15 there are no filters: whoever subscribes needs the definitions of all models
my $filter = $publisher->safe_psql('postgres', 'SHOW server_version_num') >= 150000 ? 'WHERE (model_id = 1)' : '';
$publisher->safe_psql('postgres', qq{CREATE PUBLICATION one_model FOR TABLE gnnrec.model $filter, gnnrec.node_type $filter, gnnrec.relation $filter, gnnrec.run,
    gnnrec.run_feature, gnnrec.run_feature_column, m.item_embedding, m.user_embedding});
$subscriber->safe_psql('beside', "CREATE SUBSCRIPTION beside CONNECTION '$connection' PUBLICATION one_model");
$subscriber->wait_for_subscription_sync($publisher, 'beside', 'beside');
is(answers($subscriber, 'm', 'beside'), $first, 'beside: a model answers as at home, without its interactions');

#
# What happens there happens here
#
$publisher->safe_psql('postgres', q{CALL gnnrec.retrain('m', '{"steps": 3, "seed": 2}')});
isnt(answers($publisher, 'm'), $first, 'another run answers differently');
follows($_, $_, "$_: follows a training") for ('whole', 'beside');
$publisher->safe_psql('postgres', "SELECT gnnrec.rollback('m')");
follows($_, $_, "$_: follows a rollback") for ('whole', 'beside');
$publisher->safe_psql('postgres', q{CALL gnnrec.retrain('m', '{"steps": 3, "seed": 4}')}) for (1, 2);
follows($_, $_, "$_: follows when runs are deleted") for ('whole', 'beside');
is($subscriber->safe_psql($_, 'SELECT string_agg(DISTINCT run_id::text, $$ $$) FROM m.user_embedding'),
    $publisher->safe_psql('postgres', 'SELECT string_agg(DISTINCT run_id::text, $$ $$) FROM m.user_embedding'), "$_: and holds no others") for ('whole', 'beside');
is(answers($subscriber, 'ours', 'beside'), $ours, 'beside: the model that is at home here answers as before');
$subscriber->safe_psql('beside', q{CALL gnnrec.retrain('ours', '{"steps": 3, "seed": 5}')});
isnt(answers($subscriber, 'ours', 'beside'), $ours, 'beside: and is trained here');
follows('beside', 'beside', 'beside: which is no matter to the other');

# a model that is created there waits for its definitions here, as any table does
make_model($publisher, 'n', seed => 6);
copy_definitions('whole', '--schema=n');
copy_definitions('whole', '--table=rows_n');
$subscriber->safe_psql('whole', 'ALTER SUBSCRIPTION whole REFRESH PUBLICATION');
$subscriber->wait_for_subscription_sync($publisher, 'whole', 'whole');
is(answers($subscriber, 'n', 'whole'), answers($publisher, 'n'), 'whole: a model that was created later');
if ($filter)
{
    $publisher->safe_psql('postgres', "SELECT gnnrec.rollback('m')");
    follows('beside', 'beside', 'beside: does not need it');
}

#
# The subscriber takes over: sequences are not replicated, as everybody's are not
#
my $last = answers($publisher, 'm');
$subscriber->safe_psql('whole', 'DROP SUBSCRIPTION whole');
$subscriber->safe_psql('beside', 'DROP SUBSCRIPTION beside');
my $run = $publisher->safe_psql('postgres', 'SELECT max(run_id) FROM gnnrec.run');
$publisher->stop;
$subscriber->safe_psql('whole', q{SELECT setval('gnnrec.run_run_id_seq', (SELECT max(run_id) FROM gnnrec.run)),
    setval('gnnrec.model_model_id_seq', (SELECT max(model_id) FROM gnnrec.model))});
is(answers($subscriber, 'm', 'whole'), $last, 'taken over: it answers as before');
$subscriber->safe_psql('whole', q{CALL gnnrec.retrain('m', '{"steps": 3}')});
is(newest_run($subscriber, 'm', 'run_id', 'whole'), $run + 1, 'taken over: it trains');
is(answers($subscriber, 'm', 'whole'), $first, 'taken over: and comes to the same');
$subscriber->stop;

done_testing();
