# ALTER EXTENSION UPDATE: an upgraded extension is the fresh one of that version, object by object (catalogue.sql), and serves what
# was trained before. All paths from older versions to the default one are taken. So that there is always one, and to show that a
# difference is seen, a next version is made up here: what it adds is in its install script and in its upgrade script.
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

my $catalogue = "$FindBin::RealBin/../catalogue.sql";
my $made = 0;

# a new database with a version of the extension; its name
sub install
{
    my ($version) = @_;
    my $database = 'version_' . ++$made;

    $node->safe_psql('postgres', "CREATE DATABASE $database");
    $node->safe_psql($database, "CREATE EXTENSION gnnrec VERSION '$version'");
    return $database;
}

# what the extension is made of, a line each
sub members
{
    my ($database) = @_;
    my ($out, $err) = ('', '');
    my $ok = IPC::Run::run(['psql', '-qXAt', '-v', 'ON_ERROR_STOP=1', '-v', 'extension=gnnrec', '-f', $catalogue, $node->connstr($database)],
        '>', \$out, '2>', \$err);
    die "catalogue.sql: $err" unless $ok && $out =~ /function gnnrec\.train/;
    return [split /\n/, $out];
}

# the functions and tables that create_model makes, which are no members
sub of_model
{
    my ($database) = @_;
    return $node->safe_psql($database, q{
        SELECT pg_get_functiondef(p.oid), obj_description(p.oid, 'pg_proc') FROM pg_proc p WHERE pronamespace = 'm'::regnamespace ORDER BY 1;
        SELECT attrelid::regclass, attnum, attname, atttypid::regtype, attnotnull FROM pg_attribute
        WHERE attrelid IN ('m.item_embedding'::regclass, 'm.user_embedding'::regclass) AND attnum > 0 ORDER BY 1, 2});
}

# what is in one and not in the other, to be shown
sub difference
{
    my ($a, $b) = @_;
    my %a = map { $_ => 1 } @$a;
    my %b = map { $_ => 1 } @$b;
    return '' if join("\n", @$a) eq join("\n", @$b);
    return join("\n", 'different:', (map { "- $_" } grep { !$b{$_} } @$a), (map { "+ $_" } grep { !$a{$_} } @$b));
}

# an upgrade with a model, and a session that has been asking it all along
sub check_upgrade
{
    my ($from, $to) = @_;
    my $fresh = install($to);
    my $upgraded = install($from);

    make_model($node, 'm', database => $upgraded);
    my $before = answers($node, 'm', $upgraded);
    my $session = $node->background_psql($upgraded);
    my $ask = 'SELECT md5(string_agg(r::text, $$,$$ ORDER BY rank)) FROM m.recommend(7, 10) r';
    my $answer = $session->query_safe($ask);

    $node->safe_psql($upgraded, "ALTER EXTENSION gnnrec UPDATE TO '$to'");
    is(difference(members($fresh), members($upgraded)), '', "$from to $to: the extension is what it would be if made afresh");
    is($session->query_safe($ask), $answer, "$from to $to: who was asking goes on");
    $session->quit;
    is(answers($node, 'm', $upgraded), $before, "$from to $to: the model answers as before");
    make_model($node, 'm', database => $fresh);
    is(of_model($upgraded), of_model($fresh), "$from to $to: its functions and tables are those of a new one");
    $node->safe_psql($upgraded, q{CALL gnnrec.retrain('m', '{"steps": 3}')});
    is(answers($node, 'm', $upgraded), $before, "$from to $to: and it trains");
}

#
# What is released
#
my $default = $node->safe_psql('postgres', q{SELECT default_version FROM pg_available_extensions WHERE name = 'gnnrec'});
my @older = split /\n/, $node->safe_psql('postgres', qq{SELECT source FROM pg_extension_update_paths('gnnrec') JOIN pg_available_extension_versions v
    ON v.name = 'gnnrec' AND v.version = source WHERE target = '$default' AND path IS NOT NULL ORDER BY 1});
check_upgrade($_, $default) for @older;

is(difference(members(install($default)), members(install($default))), '', 'what is installed twice is the same twice');

#
# What may come
#
chomp(my $directory = `pg_config --sharedir`);
$directory .= '/extension';
SKIP:
{
    skip "$directory is not to be written to: no next version is made up", 1 unless -w $directory;

    # each of these is a difference by itself
    my @changes = (
        'ALTER TABLE gnnrec.run ADD note text;',
        q{COMMENT ON COLUMN gnnrec.run.run_id IS 'number of the run';},
        'CREATE FUNCTION gnnrec.next() RETURNS integer LANGUAGE sql IMMUTABLE RETURN 1;',
        'REVOKE EXECUTE ON FUNCTION gnnrec.train(text, jsonb, text) FROM PUBLIC;',
        'ALTER FUNCTION gnnrec.dims(gnnrec.embedding) COST 2;',
        q{CREATE OR REPLACE FUNCTION gnnrec.norm(gnnrec.embedding) RETURNS float8 LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
          AS 'MODULE_PATHNAME', 'gnnrec_embedding_dims';},
        'CREATE OPERATOR gnnrec.@@ (LEFTARG = gnnrec.embedding, RIGHTARG = gnnrec.embedding, FUNCTION = gnnrec.embedding_eq);',
        'CREATE CAST (gnnrec.embedding AS integer) WITH FUNCTION gnnrec.dims(gnnrec.embedding);',
        'ALTER OPERATOR FAMILY gnnrec.embedding_ops USING btree ADD FUNCTION 4 (gnnrec.embedding, gnnrec.embedding) pg_catalog.btequalimage(oid);',
        'DROP POLICY owned ON gnnrec.run_step;',
        'ALTER TABLE gnnrec.run ALTER stored SET DEFAULT true;',
        'ALTER TABLE gnnrec.run DROP CONSTRAINT run_status_check;',
        'CREATE INDEX run_finished_idx ON gnnrec.run (finished_at);',
        'ALTER VIEW gnnrec.models SET (security_barrier);',
        'GRANT SELECT ON gnnrec.run TO pg_monitor;',
        q{SELECT pg_catalog.pg_extension_config_dump('gnnrec.run', 'WHERE true');},
        'ALTER SEQUENCE gnnrec.run_run_id_seq CACHE 2;',
        'ALTER EVENT TRIGGER gnnrec_before_drop DISABLE;',
    );
    my $install = "$directory/gnnrec--next.sql";
    my $upgrade = "$directory/gnnrec--$default--next.sql";
    END { unlink grep { defined } ($install, $upgrade) }

    append_to_file($install, slurp_file("$directory/gnnrec--$default.sql") . join("\n", @changes));
    append_to_file($upgrade, join("\n", @changes));
    check_upgrade($default, 'next');

    # a library of the next version in a database that has not been told yet
    my $behind = install($default);
    make_model($node, 'm', database => $behind);
    $node->safe_psql($behind, 'ALTER TABLE gnnrec.run RENAME TO newer; CREATE TABLE gnnrec.run AS SELECT run_id, model_id, status FROM gnnrec.newer');
    my ($status, undef, $error) = $node->psql($behind, q{SELECT gnnrec.wait('m')});
    like($error, qr/of an older version than the library.*ALTER EXTENSION gnnrec UPDATE/s, 'a database that has not been updated says so');

    my $fresh = members(install('next'));
    for my $forgotten (@changes)
    {
        unlink $upgrade;
        append_to_file($upgrade, join("\n", grep { $_ ne $forgotten } @changes));
        my $database = install($default);
        $node->safe_psql($database, "ALTER EXTENSION gnnrec UPDATE TO 'next'");
        isnt(difference($fresh, members($database)), '', 'forgotten it is seen: ' . substr($forgotten, 0, 60));
        $node->safe_psql('postgres', "DROP DATABASE $database");
    }
}
$node->stop;

done_testing();
