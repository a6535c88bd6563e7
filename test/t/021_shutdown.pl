# A server that is shut down while a model is trained, in every way, and a database that is dropped. The processes go, the run
# says what became of it or is lost, and afterwards the model answers as before, without a training.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use Training;

my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init;
$node->append_conf('postgresql.conf', "autovacuum = off\n");
$node->start;
make_model($node, 'm');

my $before = answers($node, 'm');
my $stored = stored_runs($node, 'm');
my $last = newest_run($node, 'm', 'run_id');

sub check_served
{
    my ($what, @processes) = @_;
    nothing_left($node, 'm', $stored, $what, @processes);
    is($node->safe_psql('postgres', "SELECT live_run FROM gnnrec.models WHERE name = 'm'"), $last, "$what: the same run is live");
    is(answers($node, 'm'), $before, "$what: it answers as before");
}

# a plain restart: nothing is trained again
$node->restart;
check_served('restart');
is(newest_run($node, 'm', 'run_id'), $last, 'restart: there is no new run');

for my $mode ('fast', 'immediate')
{
    my ($run, $worker, $child) = start_training($node, 'm');
    my $start = time;
    $node->stop($mode);
    cmp_ok(time - $start, '<', 10, "$mode shutdown is not held up by a training");
    ok(within(sub { is_gone($worker) && is_gone($child) }), "$mode shutdown: the processes go with the server");
    $node->start;
    check_served("$mode shutdown");
    is($node->safe_psql('postgres', "SELECT gnnrec.run_state(model_id, status, requested_at) FROM gnnrec.run WHERE run_id = $run"),
        $mode eq 'fast' ? 'cancelled' : 'lost', "$mode shutdown: the run says so");
}

# the postmaster alone is killed: worker and child notice
my ($run, $worker, $child) = start_training($node, 'm');
my @servers = children_of(slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/);
$node->kill9;
ok(within(sub { is_gone($worker) && is_gone($child) }), 'postmaster killed: the processes go');
within(sub { !grep { !is_gone($_) } @servers });
# its process counts as running until someone has asked about its end
unlink $node->data_dir . '/postmaster.pid', $node->host . '/.s.PGSQL.' . $node->port . '.lock';
$node->start;
check_served('postmaster killed');

#
# A database is dropped under a training
#
$node->safe_psql('postgres', 'CREATE DATABASE doomed');
make_model($node, 'd', database => 'doomed');
($run, $worker, $child) = start_training($node, 'd', database => 'doomed');
like(($node->psql('postgres', 'DROP DATABASE doomed'))[2], qr/ERROR:  database "doomed" is being accessed by other users/, 'a training is a use of the database');
my $start = time;
$node->safe_psql('postgres', 'DROP DATABASE doomed WITH (FORCE)');
cmp_ok(time - $start, '<', 10, 'that can be ended by force');
ok(within(sub { is_gone($worker) && is_gone($child) }), 'and the processes go');

# what the server saw of all that: no process of its own died of a signal but the postmaster
unlike(slurp_file($node->logfile), qr/was terminated by signal|PANIC|TRAP:/, 'nothing crashed');
$node->stop;

done_testing();
