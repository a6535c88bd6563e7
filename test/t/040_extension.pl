# The extension goes, and its databases: no file, no process and no lock stays behind, and nobody else's file goes along. And what
# is left of a model whose schema was dropped by hand can be got rid of by who did so.
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

# the files of a database, or of one that was
sub files_of
{
    my ($oid) = @_;
    return scalar(my @files = glob($node->data_dir . "/base/pgsql_tmp/pgsql_tmp_gnnrec_${oid}_*"));
}

sub make_database
{
    my ($name) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $name");
    make_model($node, 'm', database => $name);
    return $node->safe_psql('postgres', "SELECT oid FROM pg_database WHERE datname = '$name'");
}

my $here = make_database('here');
my $there = make_database('there');
my $before = answers($node, 'm', 'here');
is(files_of($here), 1, 'a trained model has a file');
is(answers($node, 'm', 'there'), $before, 'the same model of another database answers the same');

#
# A DROP that does not come to pass
#
my $error = ($node->psql('here', 'DROP EXTENSION gnnrec'))[2];
like($error, qr/cannot drop extension gnnrec because other objects depend on it/, 'an extension with models is not dropped without CASCADE');
$node->safe_psql('here', 'BEGIN; DROP EXTENSION gnnrec CASCADE; ROLLBACK');
$node->safe_psql('here', 'BEGIN; SAVEPOINT s; DROP EXTENSION gnnrec CASCADE; ROLLBACK TO s; COMMIT');
is(files_of($here), 1, 'and its files are there as before');
is(answers($node, 'm', 'here'), $before, 'from which it answers');

#
# DROP EXTENSION
#
$node->safe_psql('here', 'DROP EXTENSION gnnrec CASCADE');
is(files_of($here), 0, 'CASCADE: no file is left');
is(files_of($there), 1, "CASCADE: another database's files are not touched");
is($node->safe_psql('here', "SELECT count(*) FROM pg_proc WHERE pronamespace = 'm'::regnamespace"), '0', 'CASCADE: no function is left');
is($node->safe_psql('here', 'SELECT count(*) FROM pg_event_trigger'), '0', 'CASCADE: no event trigger is left');

$node->safe_psql('here', 'DROP SCHEMA m CASCADE; DROP TABLE rows_m');
make_model($node, 'm', database => 'here');
is(answers($node, 'm', 'here'), $before, 'made again, it answers as before');
$node->safe_psql('here', "SELECT gnnrec.drop_model('m')");
is(files_of($here), 0, 'drop_model: no file is left');
$node->safe_psql('here', 'DROP TABLE rows_m; DROP EXTENSION gnnrec');
is($node->safe_psql('here', "SELECT count(*) FROM pg_namespace WHERE nspname IN ('gnnrec', 'm')"), '0', 'an extension without models is dropped without CASCADE');

# whoever drops need not have the library any more, nor a right to the schema
make_model($node, 'm', database => 'here');
$node->safe_psql('here', q{UPDATE pg_proc SET probin = '$libdir/gone' WHERE proname = 'forget_files'});
$node->safe_psql('here', 'DROP EXTENSION gnnrec CASCADE');
is($node->safe_psql('here', 'SELECT count(*) FROM pg_event_trigger'), '0', 'without its library it is dropped all the same');
$node->safe_psql('here', 'DROP SCHEMA m CASCADE; DROP TABLE rows_m');
make_model($node, 'm', database => 'here');
$node->safe_psql('here', q{CREATE ROLE stranger; REVOKE USAGE ON SCHEMA gnnrec FROM PUBLIC; SET ROLE stranger; DROP OWNED BY stranger});
is(answers($node, 'm', 'here'), $before, 'DROP OWNED by somebody else takes nothing along');

#
# DROP EXTENSION while a training runs
#
my (undef, $worker, $child) = start_training($node, 'm', database => 'here');
my $log = -s $node->logfile;
$node->safe_psql('here', 'DROP EXTENSION gnnrec CASCADE');
ok(within(sub { is_gone($worker) && is_gone($child) }), 'dropped during a training: worker and child end');
is(files_of($here), 0, 'dropped during a training: no file is left');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), '0', 'dropped during a training: no lock is left');
unlike(slurp_file($node->logfile, $log), qr/PANIC|FATAL|terminated by signal|TRAP/, 'dropped during a training: the worker ends in order');
$node->safe_psql('here', 'DROP SCHEMA m CASCADE; DROP TABLE rows_m');
make_model($node, 'm', database => 'here');
is(answers($node, 'm', 'here'), $before, 'and the next one can be made');

#
# DROP DATABASE: no code of ours runs where it is dropped; who makes the next file, in whatever database, sweeps
#
(undef, $worker, $child) = start_training($node, 'm', database => 'here');
$error = ($node->psql('postgres', 'DROP DATABASE here'))[2];
like($error, qr/is being accessed by other users/, 'a database is not dropped during a training');
ok(!is_gone($child), 'which goes on');
$node->safe_psql('postgres', 'DROP DATABASE here WITH (FORCE)');
ok(within(sub { is_gone($worker) && is_gone($child) }), 'unless with FORCE');
$node->safe_psql('there', q{CALL gnnrec.retrain('m', '{"steps": 3}')});
# its worker sweeps after it has published
ok(within(sub { files_of($here) == 0 }), 'the files of a dropped database go with the next training anywhere');
is(files_of($there), 2, 'the files of others do not');

#
# A schema that was dropped by hand
#
$node->safe_psql('postgres', 'CREATE ROLE owner LOGIN; CREATE ROLE other LOGIN');
$node->safe_psql('there', 'GRANT CREATE ON DATABASE there TO owner; CREATE SCHEMA shop AUTHORIZATION owner');
my @as_owner = (extra_params => ['--username=owner']);
$node->safe_psql('there', q{CREATE TABLE shop.rows AS SELECT u AS user_id, u % 7 + n AS item_id FROM generate_series(1, 50) u, generate_series(1, 3) n;
    SELECT gnnrec.create_model('shop', 'shop.rows', schema => 'shop', params => '{"dim": 8, "steps": 3}');
    CALL gnnrec.retrain('shop')}, @as_owner);
$node->safe_psql('there', 'DROP SCHEMA shop CASCADE', @as_owner);
is($node->safe_psql('there', q{SELECT coalesce(item_table, '-'), coalesce(user_table, '-'), coalesce(source, '-') FROM gnnrec.models WHERE name = 'shop'}),
    '-|-|-', 'a superuser sees that there are no tables');
is($node->safe_psql('there', 'SELECT count(*) FROM gnnrec.models', extra_params => ['--username=other']), '0', 'nobody else sees anything');
$node->safe_psql('there', q{SELECT gnnrec.train('shop')}, @as_owner);
$error = ($node->psql('there', q{SELECT gnnrec.wait('shop')}, @as_owner))[2];
like($error, qr/the table of the user embeddings of model "shop" does not exist any more\nHINT:  Drop the model/, 'a training says what to do');
is($node->safe_psql('there', 'SELECT count(*) FROM gnnrec.progress'), '0', 'and is over');

# a dump does not take it along: the numbers of its tables may be other tables' where it is restored
my $dump = "$PostgreSQL::Test::Utils::tmp_check/left";
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok(['pg_dump', '--format=custom', "--file=$dump", 'there'], 'dumped');
$node->command_ok(['pg_restore', '--exit-on-error', '--dbname=restored', $dump], 'restored');
is($node->safe_psql('restored', q{SELECT string_agg(DISTINCT model_id::text, ' ') FROM (SELECT model_id FROM gnnrec.model
    UNION ALL SELECT model_id FROM gnnrec.node_type UNION ALL SELECT model_id FROM gnnrec.relation UNION ALL SELECT model_id FROM gnnrec.run) r}),
    '1', 'a dump leaves out all that is left of a model');

$node->safe_psql('there', q{SELECT gnnrec.drop_model('shop')}, @as_owner);
is($node->safe_psql('there', q{SELECT count(*) FROM gnnrec.model WHERE name = 'shop'}), '0', 'who dropped the schema can drop the rest');
$error = ($node->psql('there', q{SELECT gnnrec.drop_model('m')}, @as_owner))[2];
like($error, qr/model "m" does not exist/, 'but not what has an owner');

$node->stop;
done_testing();
