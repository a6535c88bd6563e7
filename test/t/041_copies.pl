# The extension in several databases of one server, in a template, and in a server that pg_upgrade made of another: runs of the same
# number, even of tables of the same OIDs, are never taken for each other.
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

# the numbers by which a model and its run are known: of the catalogue, the model, the run, the tables, the types of ids
sub numbers
{
    my ($server, $database) = @_;
    return $server->safe_psql($database, q{SELECT 'gnnrec.model'::regclass::oid, m.name, m.model_id, m.live_run,
        string_agg(concat_ws(' ', t.embedding_table::oid, t.id_type::oid), ',' ORDER BY t.type_no), max(r.source::oid)
        FROM gnnrec.model m JOIN gnnrec.node_type t USING (model_id) JOIN gnnrec.relation r USING (model_id)
        GROUP BY m.model_id ORDER BY m.model_id});
}

sub files
{
    return scalar(my @files = glob($node->data_dir . '/base/pgsql_tmp/pgsql_tmp_gnnrec_*'));
}

#
# The extension in template1: every new database has it
#
$node->safe_psql('template1', 'CREATE EXTENSION gnnrec');
my %answer;
for my $seed (1, 2)
{
    my $database = "seed_$seed";
    $node->safe_psql('postgres', "CREATE DATABASE $database");
    make_model($node, 'm', database => $database, seed => $seed);
    $answer{$database} = answers($node, 'm', $database);
}
my $same = q{SELECT 'gnnrec.model'::regclass::oid, model_id, live_run FROM gnnrec.model};
is($node->safe_psql('seed_1', $same), $node->safe_psql('seed_2', $same), 'two databases: by number their models and runs are the same');
isnt($answer{seed_1}, $answer{seed_2}, 'two databases: but they answer differently');
is(answers($node, 'm', $_), $answer{$_}, "two databases: $_ answers as before the other was asked") for ('seed_1', 'seed_2');
is(files(), 2, 'two databases: each from its own file');

#
# A copy of a database with a trained model
#
my @strategies = $node->safe_psql('postgres', 'SHOW server_version_num') >= 150000 ? ('wal_log', 'file_copy') : ('');
for my $strategy (@strategies)
{
    my $copy = "copy_$strategy";
    $node->safe_psql('postgres', "CREATE DATABASE $copy TEMPLATE seed_1" . ($strategy ? " STRATEGY $strategy" : ''));
    is(numbers($node, $copy), numbers($node, 'seed_1'), "$copy: has the numbers of the original");
    is(answers($node, 'm', $copy), $answer{seed_1}, "$copy: answers as the original");
    $node->safe_psql($copy, q{CALL gnnrec.retrain('m', '{"steps": 3, "seed": 2}')});
    $node->safe_psql('seed_1', q{CALL gnnrec.retrain('m', '{"steps": 3, "seed": 1}')});
    is(answers($node, 'm', $copy), $answer{seed_2}, "$copy: trained otherwise it answers otherwise");
    is(answers($node, 'm', 'seed_1'), $answer{seed_1}, "$copy: the original does not");
    $node->safe_psql($copy, q{SELECT gnnrec.drop_model('m'); DROP EXTENSION gnnrec});
    is(answers($node, 'm', 'seed_1'), $answer{seed_1}, "$copy: nor when the copy drops it all");
    $node->safe_psql('postgres', "DROP DATABASE $copy");
}

#
# pg_upgrade: embedding tables are carried over as files, with the OIDs that the catalogue, functions and ids refer to
#
my $new = PostgreSQL::Test::Cluster->new('upgraded');
$new->init;
$node->safe_psql('seed_2', q{CREATE DOMAIN sku AS text; CREATE TABLE rows_t AS SELECT 'user ' || user_id AS user_id, ('item ' || item_id)::sku AS item_id FROM rows_m;
    SELECT gnnrec.create_model('t', 'rows_t', params => '{"dim": 16, "steps": 3, "negatives": 256}');
    CALL gnnrec.retrain('t')});
my $of_t = q{SELECT md5(string_agg(concat_ws(' ', u, item_id, score, rank), ',' ORDER BY u, rank)) FROM generate_series(1, 600) u, t.recommend('user ' || u, 10)};
my $answer_t = $node->safe_psql('seed_2', $of_t);
my $numbers = numbers($node, 'seed_2');
$node->stop;
chdir $PostgreSQL::Test::Utils::tmp_check or die "chdir: $!";
chomp(my $bindir = `pg_config --bindir`);
my @no_sync = `pg_upgrade --help` =~ /--no-sync/ ? ('--no-sync') : ();
command_ok(['pg_upgrade', @no_sync, '--old-datadir' => $node->data_dir, '--new-datadir' => $new->data_dir, '--old-bindir' => $bindir, '--new-bindir' => $bindir,
    '--socketdir' => $new->host, '--old-port' => $node->port, '--new-port' => $new->port], 'pg_upgrade');
$new->start;
is(numbers($new, 'seed_2'), $numbers, 'pg_upgrade: all numbers are as they were');
is(answers($new, 'm', $_), $answer{$_}, "pg_upgrade: $_ answers as before") for ('seed_1', 'seed_2');
is($new->safe_psql('seed_2', $of_t), $answer_t, 'pg_upgrade: so does a model with other ids');
$new->safe_psql('seed_2', q{CALL gnnrec.retrain('m', '{"steps": 3, "seed": 1}')});
is(newest_run($new, 'm', 'run_id', 'seed_2'), '3', 'pg_upgrade: the next run has the next number');
is(answers($new, 'm', 'seed_2'), $answer{seed_1}, 'pg_upgrade: it trains');
is($new->safe_psql('seed_2', "SELECT gnnrec.rollback('m')"), '1', 'pg_upgrade: the old run is kept');
is(answers($new, 'm', 'seed_2'), $answer{seed_2}, 'pg_upgrade: and answers');
my $file = $new->data_dir . '/base/pgsql_tmp/pgsql_tmp_gnnrec_' . $new->safe_psql('seed_2', q{SELECT d.oid || '_' || 'gnnrec.model'::regclass::oid || '_1'
    FROM pg_database d WHERE datname = current_database()});
ok(-e $file, 'pg_upgrade: from a file made here');
$new->safe_psql('seed_2', 'DROP EXTENSION gnnrec CASCADE');
ok(!-e $file, 'pg_upgrade: which goes with the extension');
$new->stop;

done_testing();
