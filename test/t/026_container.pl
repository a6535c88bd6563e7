# A server as containers run it: the postmaster is process 1, /dev/shm has 64 MB, and there are small disks, which get full.
#
# Process 1 is the parent of every orphan: a training process that its worker has not waited for would be taken for a crashed
# session, and the server would restart all of them.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Training;

# processes and mounts of our own, ended with this one; the server has no rights there that it would not have outside
my @container = ('setpriv', '--pdeathsig', 'KILL',
    'unshare', '--user', '--map-current-user', '--keep-caps', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc');
my @plain = ('setpriv', '--inh-caps', '-all', '--ambient-caps', '-all');

my ($out, $err) = ('', '');
my $possible = eval { IPC::Run::run([@container, 'sh', '-c', 'mount -t tmpfs tmpfs /dev/shm && exec "$@"', 'sh', @plain, 'true'], '>', \$out, '2>', \$err) };
plan skip_all => 'no user namespaces here: ' . ($err || $@ || 'unshare fails') =~ s/\n.*//sr unless $possible;

my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init;
$node->append_conf('postgresql.conf', "restart_after_crash = on\nautovacuum = off\ndynamic_shared_memory_type = posix\n");
my $small = PostgreSQL::Test::Utils::tempdir();
$node->start;
make_model($node, 'm');
my $before = answers($node, 'm');
$node->stop;

my $mounts = "mount -t tmpfs -o size=64m tmpfs /dev/shm && mount -t tmpfs -o size=64k tmpfs '" . $node->data_dir . "/base/pgsql_tmp' && "
    . "mount -t tmpfs -o size=1m tmpfs '$small' && exec \"\$@\"";
my $server = IPC::Run::start([@container, 'sh', '-c', $mounts, 'sh', @plain, 'postgres', '-D', $node->data_dir], '<', \undef, '>>', $node->logfile, '2>&1');
my $postmaster = 0;
END
{
    my $status = $?;
    kill('QUIT', $postmaster) if $postmaster;
    ($postmaster ? $server->finish : $server->kill_kill) if $server;
    $? = $status;
}
ok(within(sub { ($node->psql('postgres', 'SELECT 1'))[0] == 0 }), 'the server starts');
$postmaster = child_of($server->{KIDS}[0]{PID});
is(slurp_file($node->data_dir . '/postmaster.pid') =~ s/\n.*//sr, '1', 'as process 1');
my $log = -s $node->logfile;
my $witness = $node->background_psql('postgres');
my $witness_pid = $witness->query_safe('SELECT pg_backend_pid()');

# run, worker and its child, as they are called out here
sub start_inside
{
    my ($node, $name) = @_;
    my $run = $node->safe_psql('postgres', "SELECT gnnrec.train('$name')");
    my ($worker, $child);

    within(sub { newest_run($node, $name, 'phase') eq 'fitting' }) or BAIL_OUT('training does not start');
    my $inside = newest_run($node, $name, 'pid');
    ($worker) = grep { (eval { slurp_file("/proc/$_/status") } // '') =~ /^NSpid:.*\t$inside$/m } children_of($postmaster);
    within(sub { $child = child_of($worker) }) or BAIL_OUT('there is no training process');
    return ($run, $inside, $worker, $child);
}

#
# The snapshot does not fit its disk: every session has a copy of its own
#
is(answers($node, 'm'), $before, 'no room for the snapshot: it answers as before');
$node->safe_psql('postgres', q{CALL gnnrec.retrain('m', '{"steps": 3}')});
is(newest_run($node, 'm', 'status, message'), 'succeeded|', 'no room for the snapshot: a training succeeds all the same');
is(answers($node, 'm'), $before, 'no room for the snapshot, 64 MB of /dev/shm: the same parameters, the same answers');
like(slurp_file($node->logfile, $log), qr/WARNING:  could not write file "base\/pgsql_tmp\/[^"]*": No space left on device/, 'no room for the snapshot: the log says so');
my @files = grep { !/^\.\.?$/ } slurp_dir("/proc/$postmaster/root" . $node->data_dir . '/base/pgsql_tmp');
is("@files", '', 'no room for the snapshot: no half of one is left');

#
# The training process dies, or its worker ends: none of it is any other session's business
#
my $stored = stored_runs($node, 'm');
my %ends = (
    'child killed' => [sub { kill 'KILL', $_[2] }, 'failed: the training process was killed'],
    'child crashes' => [sub { kill 'SEGV', $_[2] }, 'failed: the training process was terminated by signal 11: Segmentation fault'],
    'cancelled' => [sub { $node->safe_psql('postgres', "SELECT gnnrec.cancel('m')") }, 'cancelled: cancelled on request'],
    'terminated' => [sub { $node->safe_psql('postgres', "SELECT pg_terminate_backend($_[0])") }, 'cancelled: the worker was terminated'],
);
for my $end (sort keys %ends)
{
    my ($run, $inside, $worker, $child) = start_inside($node, 'm');
    $ends{$end}[0]->($inside, $worker, $child);
    nothing_left($node, 'm', $stored, $end, $worker, $child);
    is(newest_run($node, 'm', "status || ': ' || split_part(message, E'\\n', 1)"), $ends{$end}[1], "$end: the run says so");
    is($witness->query_safe('SELECT pg_backend_pid()'), $witness_pid, "$end: other sessions go on");
}
unlike(slurp_file($node->logfile, $log), qr/terminating any other active server processes|server process .* was terminated/, 'the server has noticed nothing');

#
# The vectors do not fit their disk
#
$node->safe_psql('postgres', "CREATE TABLESPACE small LOCATION '$small'");
$node->safe_psql('postgres', 'ALTER TABLE m.user_embedding SET TABLESPACE small');
is(($node->psql('postgres', q{CALL gnnrec.retrain('m', '{"steps": 3, "dim": 1024}')}))[0], 3, 'disk full while storing: an error');
like(newest_run($node, 'm', "concat_ws(' ', status, message)"), qr/^failed could not extend file "pg_tblspc[^"]*": .*No space left on device\nHINT:  Check free disk space\.$/,
    'disk full while storing: the run says so');
is(stored_runs($node, 'm'), $stored, 'disk full while storing: nothing of the run is stored');
is(answers($node, 'm'), $before, 'disk full while storing: it answers as before');
$node->safe_psql('postgres', 'ALTER TABLE m.user_embedding SET TABLESPACE pg_default');
$node->safe_psql('postgres', q{CALL gnnrec.retrain('m', '{"steps": 3}')});
is(answers($node, 'm'), $before, 'disk full while storing: with room again, the next training succeeds');
is($witness->query_safe('SELECT pg_backend_pid()'), $witness_pid, 'disk full: other sessions go on');
$witness->quit;

done_testing();
