# Recommending while runs are published, rolled back and deleted. What is asked and demanded: test/concurrency; for longer:
# test/bench/concurrency.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $scripts = "$FindBin::RealBin/../concurrency";
my $node = PostgreSQL::Test::Cluster->new('busy');
$node->init;
$node->append_conf('postgresql.conf', "max_worker_processes = 16\nfsync = off\n");
$node->start;
$node->safe_psql('postgres', slurp_file("$scripts/model.sql"));

$node->command_ok(["$scripts/clients", 20, 'postgres'], 'eight clients are answered from the live run, and keep no memory');
is($node->safe_psql('postgres', q{SELECT string_agg(DISTINCT status, ' '), count(*) >= 5 FROM gnnrec.run}), 'succeeded|t',
    'meanwhile runs were published');
is($node->safe_psql('postgres', 'SELECT count(DISTINCT run_id) FROM busy.user_embedding'), '2', 'and deleted');
my $files = () = glob($node->data_dir . '/base/pgsql_tmp/pgsql_tmp_gnnrec_*');
cmp_ok($files, '<=', 2, 'with their files');

$node->stop;
done_testing();
