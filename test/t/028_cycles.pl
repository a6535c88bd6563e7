# A model that is made, trained, asked and dropped, again and again, by one session: afterwards the server has what it had before.
# 200 times; GNNREC_CYCLES says otherwise.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Training;

my $cycles = $ENV{GNNREC_CYCLES} // 200;

# until everything is loaded and cached that a cycle needs
use constant WARM_UP => 20;

my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init;
# few slots, one of them the launcher's of logical replication: those that are not given back would soon be missed
$node->append_conf('postgresql.conf', "autovacuum = off\nmax_worker_processes = 4\nlog_statement = none\n");
$node->start;
$node->safe_psql('postgres', q{
    CREATE EXTENSION gnnrec;
    CREATE TABLE tiny AS SELECT u AS user_id, (u + n) % 5 AS item_id FROM generate_series(1, 8) u, generate_series(1, 3) n;
    CREATE TABLE peaks (bytes bigint);
    CREATE PROCEDURE cycles(n int) LANGUAGE plpgsql AS $$
    DECLARE answers int;
    BEGIN
        FOR i IN 1 .. n LOOP
            PERFORM gnnrec.create_model('tiny', 'tiny', params => '{"dim": 4, "steps": 2}');
            COMMIT;
            CALL gnnrec.retrain('tiny');
            EXECUTE 'SELECT count(*) FROM generate_series(1, 9) u, tiny.recommend(u, 3)' INTO answers;
            ASSERT answers > 0;
            INSERT INTO peaks SELECT peak_memory FROM gnnrec.run;
            PERFORM gnnrec.drop_model('tiny');
            COMMIT;
        END LOOP;
    END $$;});

my $session = $node->background_psql('postgres');
$session->query_safe('SET client_min_messages = error');
my $backend = $session->query_safe('SELECT pg_backend_pid()');
my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
my @catalogues = map { "pg_$_" } qw(namespace class attribute proc type depend shdepend constraint init_privs description);

# resident private memory of a process, kB
sub private_memory
{
    my ($pid) = @_;
    return slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+)/m ? $1 : 0;
}

# Measured in the session itself. The server's cache of its catalogue is left out: it remembers what is not there any more, of
# every schema that is dropped.
sub measure
{
    my %found;
    @found{'memory contexts', 'their bytes'} = split(/\|/, $session->query_safe(
        "SELECT count(*), sum(used_bytes) FROM pg_backend_memory_contexts WHERE name <> 'CacheMemoryContext'"));
    my @maps = split(/\n/, slurp_file("/proc/$backend/maps"));
    $found{'mappings'} = @maps;
    $found{'mapped snapshots'} = grep { /pgsql_tmp_gnnrec/ } @maps;
    $found{'open snapshots'} = grep { (readlink($_) // '') =~ /pgsql_tmp_gnnrec/ } glob("/proc/$backend/fd/*");
    $found{'locks'} = $session->query_safe("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'");
    $found{'rows of the catalogue'} = $session->query_safe(join(' UNION ALL ', map { "SELECT '$_' AS name, count(*) FROM $_" } @catalogues,
        map { "gnnrec.$_" } qw(model node_type relation run run_step run_feature run_feature_column)) . ' ORDER BY 1');
    $found{'temporary files'} = join(' ', grep { !/^\.\.?$/ } slurp_dir($node->data_dir . '/base/pgsql_tmp'));
    $found{'memory of the postmaster'} = private_memory($postmaster);
    return \%found;
}

$session->query_safe('CALL cycles(' . WARM_UP . ')');
my $before = measure();
$session->query_safe("CALL cycles($cycles)");
my $after = measure();
diag("after $cycles cycles: " . join(', ', map { "$_ $before->{$_} -> $after->{$_}" } 'memory contexts', 'their bytes', 'mappings', 'memory of the postmaster'));

is($after->{$_}, $before->{$_}, "$cycles cycles: $_") for 'mapped snapshots', 'open snapshots', 'locks', 'rows of the catalogue', 'temporary files';
cmp_ok($after->{'mappings'} - $before->{'mappings'}, '<', 10, "$cycles cycles: mappings of the session");
cmp_ok($after->{'memory contexts'} - $before->{'memory contexts'}, '<', 10, "$cycles cycles: memory contexts of the session");
cmp_ok($after->{'their bytes'} - $before->{'their bytes'}, '<', 100 * $cycles, "$cycles cycles: and what they hold");
cmp_ok($after->{'memory of the postmaster'} - $before->{'memory of the postmaster'}, '<', 512, "$cycles cycles: memory of the postmaster, kB");
is($session->query_safe(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'gnnrec training'}), '0', "$cycles cycles: no worker is left");
my ($first, $last) = split(/\|/, $session->query_safe(qq{SELECT max(bytes) FILTER (WHERE n <= @{[WARM_UP]}), max(bytes) FILTER (WHERE n > $cycles)
    FROM (SELECT bytes, row_number() OVER (ORDER BY ctid) AS n FROM peaks) p}));
# without autovacuum the catalogue's dead rows take a few pages more
cmp_ok($last, '<', 1.2 * $first, "$cycles cycles: memory of the trainings");
$session->quit;
$node->stop;

done_testing();
