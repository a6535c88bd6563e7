# A hot standby serves while the primary trains, deletes runs and vacuums. Ordinary questions never notice. A transaction that holds
# on to an older view of the database goes on answering from the run it sees, with hot_standby_feedback for as long as it likes;
# without, it ends as any such transaction does when the primary removes rows that it could see.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Training;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', "autovacuum = off\n");
$primary->start;
make_model($primary, 'm');
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "max_standby_streaming_delay = 500ms\nwal_receiver_status_interval = 1\n");
$standby->start;
$primary->wait_for_catchup($standby);

# one answer, of whatever run is live
my $ask = 'SELECT md5(string_agg(r::text, $$,$$ ORDER BY rank)) FROM m.recommend(7, 10) r';
my $script = "$PostgreSQL::Test::Utils::tmp_check/ask.sql";
append_to_file($script, "\\set u random(1, 600)\nSELECT 1 / (count(*) = 10)::int FROM m.recommend(:u, 10);\nSELECT 1 / (count(*) = 100)::int FROM m.item_embedding WHERE run_id = (SELECT live_run FROM gnnrec.model);\n");

# Trained so often, every run of before is deleted. The tables are vacuumed when that is asked for.
sub train
{
    $primary->safe_psql('postgres', qq{CALL gnnrec.retrain('m', '{"steps": 3, "seed": $_}')}) for @_;
}

sub vacuum
{
    $primary->safe_psql('postgres', 'VACUUM m.item_embedding, m.user_embedding, gnnrec.run, gnnrec.model');
}

for my $feedback ('off', 'on')
{
    $standby->append_conf('postgresql.conf', "hot_standby_feedback = $feedback\n");
    $standby->reload;

    # ordinary questions, through several trainings
    my ($out, $err) = ('', '');
    my $load = IPC::Run::start(['pgbench', '-n', '-f', $script, '-c', '2', '-T', '4', '-h', $standby->host, '-p', $standby->port, 'postgres'],
        '>', \$out, '2>', \$err);
    train(11 .. 14);
    vacuum();
    ok($load->finish, "feedback $feedback: no question fails") or diag($err);

    # views of before, one whose run is mapped, and one whose run is not
    my $asked = $standby->background_psql('postgres');
    my $silent = $standby->background_psql('postgres');
    my $begin = 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_backend_pid() FROM gnnrec.model';
    my $pids = join(',', map { $_->query_safe($begin) } ($asked, $silent));
    my $then = $asked->query_safe($ask);
    $primary->poll_query_until('postgres', 'SELECT backend_xmin IS NOT NULL FROM pg_stat_replication') if $feedback eq 'on';
    train(21 .. 23);
    vacuum();
    $primary->wait_for_catchup($standby);
    is($standby->safe_psql('postgres', $ask), $primary->safe_psql('postgres', $ask), "feedback $feedback: others see the new run");
    isnt($standby->safe_psql('postgres', $ask), $then, "feedback $feedback: which is another one");
    if ($feedback eq 'on')
    {
        is($asked->query_safe($ask), $then, 'feedback on: who began before sees the old one');
        is($silent->query_safe($ask), $then, 'feedback on: also who has not asked before');
        $_->quit for ($asked, $silent);
    }
    else
    {
        is($standby->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE pid IN ($pids)"), '0', 'feedback off: who began before is gone');
        ok($standby->poll_query_until('postgres', "SELECT confl_snapshot = 2 FROM pg_stat_database_conflicts WHERE datname = 'postgres'"),
            'feedback off: by a conflict over rows');
        eval { $_->quit } for ($asked, $silent);
    }
}

$standby->promote;
$standby->safe_psql('postgres', q{CALL gnnrec.retrain('m', '{"steps": 3, "seed": 31}')});
isnt($standby->safe_psql('postgres', $ask), $primary->safe_psql('postgres', $ask), 'promoted it trains');
$standby->stop;
$primary->stop;

done_testing();
