# What disks, full ones and failing ones, and administrators may do to the file that serves a run, mapped or not.
#
# Never a crash and never a wrong answer: the file is made again, replaced by memory, or the query fails and says why. The server,
# which restarts on a crash here, never does but where a session is killed. 010_snapshot.pl has what is wrong within the file.
use strict;
use warnings;
use Fcntl qw(S_ISREG);
use POSIX qw(mkfifo);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

umask 0;
my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init(extra => ['--allow-group-access']);
$node->append_conf('postgresql.conf', "log_min_messages = debug1\nautovacuum = off\nrestart_after_crash = on\n");
$node->start;
$node->safe_psql('postgres', q{
    CREATE EXTENSION gnnrec;
    CREATE TABLE events AS SELECT u AS user_id, (u % 4 * 25 + (u * 7 + n * 3) % 25) AS item_id
        FROM generate_series(1, 300) u, generate_series(1, 6) n;
    SELECT gnnrec.create_model('shop', 'events', params => '{"dim": 32, "steps": 3}');
    CALL gnnrec.retrain('shop');
    CALL gnnrec.retrain('shop', '{"seed": 2}')});

# one number for all that a run answers
my $all = q{SELECT md5(string_agg(r::text, ',' ORDER BY r.user_id, rank)) FROM shop.recommend_all(20) r};
my $first = $node->safe_psql('postgres', "SELECT gnnrec.rollback('shop'); $all") =~ s/.*\n//r;
my $expected = $node->safe_psql('postgres', "SELECT gnnrec.rollback('shop', 2); $all") =~ s/.*\n//r;
isnt($expected, $first, 'two runs, two answers');

my $directory = $node->data_dir . '/base/pgsql_tmp';
my ($path) = glob("$directory/pgsql_tmp_gnnrec_*_2");
my $other_path = $path =~ s/_2$/_1/r;
my $name = $path =~ s/.*\///r;
my $sound = slurp_file($path);
my $other = slurp_file($other_path);

# a new session's answer, and what it says
sub answer { my ($ret, $out, $err) = $node->psql('postgres', $all); return join("\n", $out, $err =~ /((?:WARNING|ERROR): .*)/g) }

sub builds { return scalar(() = slurp_file($node->logfile) =~ /built the snapshot of run 2/g) }

# leftovers of builders
sub unfinished { return grep { /_\d+\.\d+$/ } glob("$directory/pgsql_tmp_gnnrec_*") }

# is there a file of the run, private, an ordinary one, as long as it should be?
sub is_there
{
    my @st = lstat $path;
    return @st && S_ISREG($st[2]) && ($st[2] & 07777) == 0600 && $st[7] == length($sound);
}

sub write_at
{
    my ($file, $at, $bytes) = @_;
    open(my $fh, '+<:raw', $file) or die "$file: $!";
    seek($fh, $at, 0);
    print $fh $bytes;
    close $fh;
}

# The question is answered right by a new session, which makes the file again.
sub is_made_again
{
    my ($what) = @_;
    my $before = builds();
    is(answer(), $expected, "$what: the answers are right");
    ok(is_there() && builds() == $before + 1, "$what: the file is made again");
}

ok(is_there(), 'nobody but the server\'s user can read the file, though the group may read the data directory and umask is 0');

#
# Cut short at every page, by a byte, and grown
#
my @wrong;
for (my $size = 0; $size < length($sound) + 8192; $size += 4096)
{
    for my $to ($size, $size + 1)
    {
        truncate($path, $to) or die "truncate $path: $!";
        push @wrong, $to unless answer() eq $expected && is_there();
    }
}
is("@wrong", '', 'cut short or grown to any number of pages, the file is made again');

#
# A bit that was flipped anywhere, by somebody who wrote to the file: the header, the table, every section, what is between them
#
my $n_sections = unpack('L', substr($sound, 48, 4));
my @places = (0 .. 71);
push @places, map { my $section = 72 + $_ * 24; ($section, $section + 4, $section + 8, $section + 16) } 0 .. $n_sections - 1;
@places = @places[grep { $_ % 9 == 0 } 0 .. $#places];
for my $section (0 .. $n_sections - 1)
{
    my ($width, $count, $offset) = unpack('Lqq', substr($sound, 76 + $section * 24, 20));
    push @places, $offset, $offset + int($width * $count / 2), $offset + $width * $count - 1 if $count > 0;
}
my $builds = builds();
@wrong = ();
for my $at (@places)
{
    write_at($path, $at, chr(ord(substr($sound, $at, 1)) ^ 4));
    push @wrong, $at unless answer() eq $expected && is_there();
}
is("@wrong", '', 'a flipped bit anywhere: the answers are right');
is(builds() - $builds, scalar(@places), 'and each time the file is made again');

$builds = builds();
utime 1, 1, $path;
is(answer(), $expected, 'a file whose time was changed, and nothing else');
is(builds(), $builds, 'is as good as before');

#
# Other things in its place
#
chmod 0000, $path;
SKIP:
{
    skip 'who reads any file', 2 if $> == 0;
    is_made_again('unreadable');
}

my $elsewhere = $node->basedir . '/elsewhere';
append_to_file($elsewhere, $other);
for my $target ($elsewhere, '/nowhere', $name, $other_path)
{
    unlink $path;
    symlink($target, $path) or die "symlink: $!";
    is_made_again("a link to $target" =~ s/\Q${\$node->basedir}\E/.../r);
}
ok(slurp_file($elsewhere) eq $other, 'what a link pointed to is untouched');
unlink $path;
mkfifo($path, 0600) or die "mkfifo: $!";
is_made_again('a named pipe');
unlink $path;
append_to_file($path, $other);
is_made_again('another run\'s file');

unlink $path;
mkdir $path;
like(answer(), qr/^$expected\nWARNING:  could not write file/, 'a directory: the answers are right, with a warning');
is(join(' ', unfinished()), '', 'a directory: nothing unfinished is left');
rmdir $path or die "rmdir: $!";
is_made_again('when it has gone');

#
# What happens to a file that a session has mapped
#
my $session = $node->background_psql('postgres');
is($session->query_safe($all), $expected, 'a session maps the file');
$builds = builds();
unlink $path;
is($session->query_safe($all), $expected, 'deleted: it answers on');
is(builds(), $builds, 'deleted: from what it has');
is_made_again('deleted');
$session->quit;

$session = $node->background_psql('postgres');
$session->query_safe($all);
$builds = builds();
write_at($path, 0, $other);
is($session->query_safe($all), $expected, 'overwritten in place: the session sees it at its next statement');
is(builds(), $builds + 1, 'overwritten in place: the file is made again');
is($session->query_safe($all), $expected, 'and again');
is(builds(), $builds + 1, 'and used');
write_at($path, length($sound) / 2, 'x');
is($session->query_safe($all), $expected, 'one byte of it: the same');
append_to_file("$path.new", 'x' x length($sound));
rename("$path.new", $path);
is($session->query_safe($all), $expected, 'replaced by garbage: the session has the old one');
is(answer(), $expected, 'and others make it again');
$session->quit;

$session = $node->background_psql('postgres');
$session->query_safe($all);
truncate($path, 0);
is($session->query_safe($all), $expected, 'cut to nothing between two statements');
truncate($path, 8192);
is($session->query_safe($all), $expected, 'cut to two pages');
$session->quit;

# In the middle of a statement there is no new look at the file: a page that has gone is an error, and the session lives.
my $cut = q{COPY (SELECT) TO PROGRAM
    $cut$cat > /dev/null; for file in base/pgsql_tmp/pgsql_tmp_gnnrec_*_2; do truncate -s %d "$file"; done$cut$};
for my $question ('shop.recommend(7)', 'shop.recommend(7, diversity => 0.5)', 'shop.recommend_for(ARRAY[1, 2])',
    'shop.recommend_users(3)', 'shop.recommend_all()', 'shop.similar_items(5)', 'shop.score(8, 9)', 'shop.explain(7, 30)',
    q{gnnrec.evaluate('shop', 'events')}, q{gnnrec.recommend('shop', '7')})
{
    for my $size (0, 4096)
    {
        my ($out, $err) = ('', '');
        my $statement = sprintf($cut, $size);
        $node->psql('postgres', qq{
            DO \$do\$
            DECLARE n int;
            BEGIN
                SELECT count(*) INTO n FROM $question;
                $statement;
                BEGIN
                    SELECT count(*) INTO n FROM $question;
                    RAISE NOTICE 'the second: answered';
                EXCEPTION WHEN data_corrupted THEN
                    RAISE NOTICE 'the second: %', SQLERRM;
                END;
                SELECT count(*) INTO n FROM $question;
            END \$do\$;
            $all}, stdout => \$out, stderr => \$err);
        my ($notice) = $err =~ /NOTICE:  the second: (.*)/;
        ok($out eq $expected && $notice eq 'the file that serves run 2 of model number 1 is damaged',
            "cut to $size bytes in the middle of $question: an error, then the answer") or diag("$out $err");
    }
}

#
# No space: the session is told once, and answers from memory
#
SKIP:
{
    skip 'no prlimit', 3 if system('prlimit --version > /dev/null 2>&1') != 0;
    unlink $path;
    my ($out, $err) = ('', '');
    $node->psql("postgres", qq{
        SELECT pg_backend_pid() AS pid \\gset
        \\setenv PID :pid
        \\! prlimit --pid \$PID --fsize=8192
        $all;
        $all}, stdout => \$out, stderr => \$err);
    is($out, "$expected\n$expected", 'no file may be that large: the answers are right');
    is(scalar(() = $err =~ /WARNING:  could not write file .*: File too large/g), 1, 'one warning');
    is(join(' ', unfinished()), '', 'nothing unfinished is left');
}

# A file system of the server's own that is full: it takes a mount name space, which not every place allows.
SKIP:
{
    my @unshare = ('unshare', '--map-current-user', '--keep-caps', '--mount', 'sh', '-c');
    my $try = 'mount -t tmpfs -o size=16k none "$0" && exec "$@"';
    skip 'no mount name space of our own to be had', 3 if system(@unshare, "$try 2> /dev/null", $directory, 'true') != 0;
    $node->stop;
    system_or_bail(@unshare, $try, $directory, 'pg_ctl', '-D', $node->data_dir, '-l', $node->logfile, '-w', '-s', 'start');
    like(answer(), qr/^$expected\nWARNING:  could not write file .*: No space left on device/,
        'no space left: the answers are right, with a warning');
    is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_ls_dir('base/pgsql_tmp')}), 0, 'nothing unfinished is left');
    is($node->safe_psql('postgres', q{CALL gnnrec.retrain('shop', '{"seed": 3}'); SELECT live_run FROM gnnrec.model}), 3,
        'a training succeeds all the same');
    $node->safe_psql('postgres', q{SELECT gnnrec.rollback('shop', 2)});
    system_or_bail('pg_ctl', '-D', $node->data_dir, '-w', '-s', '-m', 'fast', 'stop');
    $node->start;
}

#
# What killed builders left is swept by the next one, what a living one makes is not
#
is(answer(), $expected, 'the file is there');
$session = $node->background_psql('postgres');
my $pid = $session->query_safe('SELECT pg_backend_pid()');
append_to_file("$path.$_", 'half') for $pid, 4000001;
append_to_file("$other_path.4000002", 'half');
unlink $path;
is_made_again('with leftovers beside it');
is(join(' ', unfinished()), "$path.$pid", 'what dead builders left is swept');

# a link where a builder is going to write is not followed
unlink "$path.$pid", $path;
symlink($elsewhere, "$path.$pid");
is($session->query_safe($all), $expected, 'a link in a builder\'s place');
ok(slurp_file($elsewhere) eq $other && is_there(), 'is not followed');

#
# The server was up all the time; a session that is killed restarts it, and the files go
#
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC|TRAP:/, 'no process died');
append_to_file("$path.4000003", 'half');
kill 'KILL', $pid;
eval { $session->quit };
$node->poll_query_until('postgres', 'SELECT true');
is(scalar(() = glob("$directory/pgsql_tmp_gnnrec_*")), 0, 'after a crash there are no files');
is_made_again('after a crash');

$node->stop;
done_testing();
