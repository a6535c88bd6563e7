# Dumps: a model comes back with its run and answers as before, restored in one go or by several jobs in whatever order they like.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Training;

my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init;
$node->append_conf('postgresql.conf', "autovacuum = off\n");
$node->start;
make_model($node, $_) for ('m', 'n');
my $before = answers($node, 'm');
my $dump = "$PostgreSQL::Test::Utils::tmp_check/dump";
my @restore = ('pg_restore', '--exit-on-error', '--port' => $node->port, '--host' => $node->host);

$node->command_ok(['pg_dump', '--format=custom', "--file=$dump", 'postgres'], 'dumped');
for my $jobs (1, 4)
{
    my $database = "restored_by_$jobs";

    $node->safe_psql('postgres', "CREATE DATABASE $database");
    $node->command_ok([@restore, "--jobs=$jobs", "--dbname=$database", $dump], "restored by $jobs");
    is(answers($node, 'm', $database), $before, "restored by $jobs: answers as before");
    is($node->safe_psql($database, "SELECT string_agg(name || ' ' || newest_run_state, ', ' ORDER BY name) FROM gnnrec.models"), 'm succeeded, n succeeded',
        "restored by $jobs: with the run that is live");
    $node->safe_psql($database, q{CALL gnnrec.retrain('m', '{"steps": 3}')});
    is(answers($node, 'm', $database), $before, "restored by $jobs: trains, and comes to the same");
    $node->safe_psql($database, q{SELECT gnnrec.drop_model('m')});
    is($node->safe_psql($database, 'SELECT name FROM gnnrec.models'), 'n', "restored by $jobs: is dropped as any other");
}

# a role that is no superuser, in a database of its own
$node->safe_psql('postgres', 'CREATE ROLE owner LOGIN');
$node->safe_psql('postgres', 'CREATE DATABASE owned OWNER owner');
$node->safe_psql('owned', 'CREATE EXTENSION gnnrec');
$node->safe_psql('owned', q{CREATE SCHEMA own; CREATE TABLE own.rows AS SELECT 1 AS user_id, n AS item_id FROM generate_series(1, 3) n;
    SELECT gnnrec.create_model('m', 'own.rows')}, extra_params => ['--username=owner']);
$node->command_ok(['pg_dump', '--enable-row-security', '--username=owner', "--file=$dump.sql", 'owned'], 'dumped by its owner');
like(slurp_file("$dump.sql"), qr/^COPY gnnrec\.model .*\n1\tm\t/m, 'dumped by its owner: the model is there');

# with jobs it is chance which table is filled first
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_constraint JOIN pg_extension ON conrelid = ANY (extconfig) WHERE contype = 'f' AND extname = 'gnnrec'}),
    '0', 'tables of a dump do not depend on each other');
$node->stop;

done_testing();
