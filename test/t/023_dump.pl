# Dumps: models come back with their runs, the live one and those kept to go back to, and answer as before, whatever the ids, the
# format and the order in which tables are filled. What is restored without the rest answers nothing, and never as another model.
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
my $dump = "$PostgreSQL::Test::Utils::tmp_check/dump";
my @restore = ('pg_restore', '--exit-on-error', '--port' => $node->port, '--host' => $node->host);

# m has two runs, of which the first is live again; t has ids that are not numbers, a hole where a column was, a further node type, and
# a run with weights; n has a run with what it made of the features of its users, and people who came later
make_model($node, $_) for ('m', 'n');
my $first = answers($node, 'm');
$node->safe_psql('postgres', q{CALL gnnrec.retrain('m', '{"steps": 3, "seed": 2}')});
my $second = answers($node, 'm');
isnt($second, $first, 'two runs answer differently');
$node->safe_psql('postgres', q{SELECT gnnrec.rollback('m');
    CREATE TABLE rows_t AS SELECT 0 AS gone, 'user ' || user_id AS user_id, md5(item_id::text)::uuid AS item_id FROM rows_m;
    ALTER TABLE rows_t DROP gone;
    SELECT gnnrec.create_model('t', 'rows_t', params => '{"model": "graphsage", "dim": 16, "steps": 3, "negatives": 256}');
    CREATE TABLE things AS SELECT DISTINCT item_id, left(item_id::text, 1) AS maker FROM rows_t;
    SELECT gnnrec.add_relation('t', 'made_by', 'things', 'item', 'item_id', 'maker', 'maker', weight => 0.5), gnnrec.set_catalogue('t', 'item', 'things'),
        gnnrec.add_feature('t', 'item', 'maker', 'category', 100);
    CALL gnnrec.retrain('t');
    CREATE TABLE people AS SELECT user_id, 'place ' || user_id % 4 AS place, user_id % 7 AS age FROM generate_series(1, 600) user_id;
    SELECT gnnrec.alter_model('n', users => 'people'), gnnrec.add_feature('n', 'user', 'place', 'category'), gnnrec.add_feature('n', 'user', 'age');
    CALL gnnrec.retrain('n', '{"model": "dnn", "steps": 3}');
    INSERT INTO people SELECT user_id, 'place ' || user_id % 4, NULL FROM generate_series(601, 620) user_id});

# all there is to know of the models, and what t recommends; also to holders of baskets, by the weights of its run
sub state_of
{
    my ($database) = @_;
    return $node->safe_psql($database, q{
        SELECT m, (SELECT string_agg(r::text, ' ' ORDER BY run_id) FROM gnnrec.run r WHERE stored AND r.model_id = g.model_id)
        FROM gnnrec.models m JOIN gnnrec.model g USING (name) ORDER BY name;
        SELECT md5(string_agg(concat_ws(' ', u, item_id, score, rank), ',' ORDER BY u, rank))
        FROM generate_series(1, 600) u, t.recommend('user ' || u, 10);
        SELECT md5(string_agg(concat_ws(' ', u, maker_id, score, rank), ',' ORDER BY u, rank))
        FROM generate_series(1, 600) u, t.recommend_maker('user ' || u, 10);
        SELECT md5(string_agg(concat_ws(' ', b, item_id, score, rank, source), ',' ORDER BY b, rank))
        FROM generate_series(1, 50) b, t.recommend_for(ARRAY[md5(b::text), md5((2 * b)::text)]::uuid[]);
        SELECT md5(string_agg(concat_ws(' ', u, item_id, score, rank), ',' ORDER BY u, rank)), bool_and(source = 'fold_in')
        FROM generate_series(601, 620) u, n.recommend(u, 10);
        SELECT f, c FROM gnnrec.run_feature f JOIN gnnrec.run_feature_column c USING (run_id, feature_no) ORDER BY run_id, feature_no, column_no;
        SELECT r FROM gnnrec.relations r; SELECT n FROM gnnrec.node_types n; SELECT f FROM gnnrec.features f});
}

is($node->safe_psql('postgres', 'SELECT cardinality(weights) FROM gnnrec.run WHERE stored AND weights IS NOT NULL ORDER BY run_id'), "1024\n512",
    'two runs have weights');
my $before = state_of('postgres');
like($before, qr/^\w+\|t$/m, 'who came later is folded in by features');
my $next_run = 1 + $node->safe_psql('postgres', 'SELECT max(run_id) FROM gnnrec.run');

# a restored database answers as the one it was dumped from, and goes on from there
sub check_restored
{
    my ($database, $what) = @_;

    is(state_of($database), $before, "$what: all is as it was");
    is(answers($node, 'm', $database), $first, "$what: it answers as before");
    is($node->safe_psql($database, "SELECT gnnrec.rollback('m', 3)"), '3', "$what: the other run can be made live");
    is(answers($node, 'm', $database), $second, "$what: and answers as it did");
    $node->safe_psql($database, q{CALL gnnrec.retrain('m', '{"steps": 3}')});
    is(newest_run($node, 'm', 'run_id', $database), $next_run, "$what: the next run has the next number");
    is(answers($node, 'm', $database), $first, "$what: and comes to the same");
    $node->safe_psql($database, q{SELECT gnnrec.create_model('another', 'rows_m'); SELECT gnnrec.drop_model('m')});
    is($node->safe_psql($database, "SELECT string_agg(name, ' ' ORDER BY name) FROM gnnrec.models"), 'another n t',
        "$what: models are made and dropped as ever");
}

#
# Whole databases, beside the original, under other names
#
$node->command_ok(['pg_dump', '--format=custom', "--file=$dump.custom", 'postgres'], 'dumped in one file');
for my $jobs (1, 4)
{
    $node->safe_psql('postgres', "CREATE DATABASE by_$jobs");
    $node->command_ok([@restore, "--jobs=$jobs", "--dbname=by_$jobs", "$dump.custom"], "restored by $jobs");
    check_restored("by_$jobs", "restored by $jobs");
}

# another superuser, who becomes the owner, in a database of another name
$node->safe_psql('postgres', 'CREATE ROLE keeper SUPERUSER LOGIN; CREATE DATABASE "Kept here" OWNER keeper');
$node->command_ok(['pg_dump', '--format=directory', '--jobs=2', "--file=$dump.directory", 'postgres'], 'dumped into a directory');
$node->command_ok([@restore, '--jobs=2', '--no-owner', '--username=keeper', '--dbname=Kept here', "$dump.directory"], 'restored by another');
is($node->safe_psql('Kept here', q{SELECT tableowner FROM pg_tables WHERE tablename = 'item_embedding' AND schemaname = 'm'}), 'keeper',
    'restored by another: who owns it now');
check_restored('Kept here', 'restored by another');

$node->safe_psql('postgres', 'CREATE DATABASE plain');
$node->command_ok(['pg_dump', "--file=$dump.sql", 'postgres'], 'dumped as a script');
$node->command_ok(['psql', '--no-psqlrc', '--quiet', '--set=ON_ERROR_STOP=1', '--output=' . File::Spec->devnull, "--file=$dump.sql", 'plain'], 'run as a script');
check_restored('plain', 'run as a script');

# definitions first, the data later: what is there without data is a model no one has trained, or none
$node->safe_psql('postgres', 'CREATE DATABASE later');
$node->command_ok([@restore, '--schema-only', '--dbname=later', "$dump.custom"], 'definitions restored');
is($node->safe_psql('later', 'SELECT count(*) FROM gnnrec.models'), '0', 'definitions restored: no model yet');
like(($node->psql('later', 'SELECT m.recommend(1)'))[2], qr/ERROR:  table "item_embedding" is no model's item table/,
    'definitions restored: no answers either');
$node->command_ok(['pg_dump', '--data-only', "--file=$dump.data", 'postgres'], 'data dumped');
$node->command_ok(['psql', '--no-psqlrc', '--quiet', '--set=ON_ERROR_STOP=1', '--output=' . File::Spec->devnull, "--file=$dump.data", 'later'], 'data restored');
check_restored('later', 'data restored');

# asked while tables are being filled: no answer, and no file that goes on answering so
$node->safe_psql('postgres', 'CREATE DATABASE half');
$node->command_ok([@restore, '--dbname=half', "$dump.custom"], 'restored');
$node->safe_psql('half', 'CREATE TABLE held AS SELECT * FROM m.user_embedding; DELETE FROM m.user_embedding');
like(($node->psql('half', 'SELECT m.recommend(1)'))[2], qr/ERROR:  table "user_embedding" does not hold run 1 .*\nDETAIL:  It has no row of the run/,
    'one table is still empty: that is what the answer says');
$node->safe_psql('half', 'INSERT INTO m.user_embedding SELECT * FROM held');
is(answers($node, 'm', 'half'), $first, 'when it is filled the model answers as before');

#
# The schema of one model, where other models are: one has the number it had at home
#
$node->safe_psql('postgres', 'CREATE DATABASE foreign_place');
make_model($node, 'stranger', database => 'foreign_place');
$node->command_ok(['pg_dump', '--schema=m', "--file=$dump.schema", 'postgres'], 'a schema dumped');
$node->command_ok(['psql', '--no-psqlrc', '--quiet', '--set=ON_ERROR_STOP=1', '--output=' . File::Spec->devnull, "--file=$dump.schema", 'foreign_place'], 'a schema restored');
is($node->safe_psql('foreign_place', "SELECT model_id FROM gnnrec.model"), $node->safe_psql('postgres', "SELECT model_id FROM gnnrec.model WHERE name = 'm'"),
    'a schema alone: there is a model of that number');
for my $call ('recommend(1)', 'recommend_for(ARRAY[1])', 'recommend_users(1)', 'recommend_all()', 'similar_items(1)', 'similar_users(1)', 'similarity(1, 2)',
    'score(1, 2)', 'explain(1, 2)')
{
    like(($node->psql('foreign_place', "SELECT m.$call"))[2],
        qr/ERROR:  table "item_embedding" is no model's item table\nHINT:  Its model was dropped, or its schema was restored/, "a schema alone: m.$call is an error");
}
$node->safe_psql('foreign_place', q{DROP SCHEMA m CASCADE; ALTER TABLE rows_stranger RENAME TO rows_m; SELECT gnnrec.create_model('m', 'rows_m');
    CALL gnnrec.retrain('m', '{"dim": 16, "steps": 3, "negatives": 256}')});
is(answers($node, 'm', 'foreign_place'), $first, 'a schema alone: created and trained, it is a model');

#
# A role that is no superuser, in a database of its own
#
$node->safe_psql('postgres', 'CREATE ROLE owner LOGIN; CREATE DATABASE owned OWNER owner');
$node->safe_psql('owned', 'CREATE EXTENSION gnnrec');
$node->safe_psql('owned', q{CREATE SCHEMA own; CREATE TABLE own.rows AS SELECT 1 AS user_id, n AS item_id FROM generate_series(1, 3) n;
    SELECT gnnrec.create_model('m', 'own.rows')}, extra_params => ['--username=owner']);
$node->safe_psql('owned', q{CREATE SCHEMA others; CREATE TABLE others.rows AS SELECT 1 AS user_id, 1 AS item_id; SELECT gnnrec.create_model('n', 'others.rows')});
$node->command_fails_like(['pg_dump', '--enable-row-security', '--username=owner', "--file=$dump.sql", 'owned'], qr/permission denied/,
    'dumped by its owner: who has to be let into the catalogue');
$node->safe_psql('owned', q{DROP SCHEMA others CASCADE; DROP SCHEMA n CASCADE;
    GRANT SELECT ON ALL TABLES IN SCHEMA gnnrec TO owner; GRANT SELECT ON ALL SEQUENCES IN SCHEMA gnnrec TO owner});
$node->command_ok(['pg_dump', '--enable-row-security', '--username=owner', "--file=$dump.sql", 'owned'], 'dumped by its owner');
like(slurp_file("$dump.sql"), qr/^COPY gnnrec\.model .*\n1\tm\t.*\n\\\.$/m, 'dumped by its owner: the own model is there, and no other');

# with jobs it is chance which table is filled first
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_constraint JOIN pg_extension ON conrelid = ANY (extconfig) WHERE contype = 'f' AND extname = 'gnnrec'}),
    '0', 'tables of a dump do not depend on each other');
$node->stop;

done_testing();
