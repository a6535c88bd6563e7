# The file that serves a run, in all the states it should never be in, and on a standby.
#
# Whatever happens to the file, the answers are those of the tables: a missing or unsound file is made again, one that cannot be
# written is replaced by memory, and what a damaged body may lead to is an error, never a crash.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', "log_min_messages = debug1\nautovacuum = off\n");
$node->start;

# a model with two runs of 200 items and 300 users, filled in by hand
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION gnnrec;
CREATE TABLE events (who bigint, what text);
SELECT gnnrec.create_model('shop', 'events', user_column => 'who', item_column => 'what');
CREATE FUNCTION vector(seed text) RETURNS gnnrec.embedding IMMUTABLE LANGUAGE sql AS
    $$ SELECT array_agg((('x' || substr(md5(seed || c), 1, 6))::bit(24)::int % 5 - 2) / 2.0 ORDER BY c)::gnnrec.embedding
       FROM generate_series(1, 16) c $$;
CREATE FUNCTION fill(run bigint) RETURNS void LANGUAGE sql AS $$
    INSERT INTO gnnrec.run (run_id, model_id, status, stored, params, trained_by)
    SELECT run, model_id, 'succeeded', true, '{}', 'hand' FROM gnnrec.model;
    INSERT INTO shop.item_embedding
    SELECT 'item' || lpad(n::text, 4, '0'), run, n, vector('i' || n || run), vector('f' || n || run), n % 5, n % 5
    FROM generate_series(0, 199) n;
    INSERT INTO shop.user_embedding
    SELECT n, run, vector('u' || n || run), 3, ARRAY[n % 60, 60 + n % 60, 120 + n % 60],
           CASE WHEN n % 4 = 0 THEN ARRAY[1, 2, -1]::real[] END
    FROM generate_series(1, 300) n $$;
SELECT fill(1), fill(2);
UPDATE gnnrec.model SET live_run = 1;
SQL

my $all = q{SELECT md5(string_agg(u || ' ' || r::text, ',' ORDER BY u, rank))
            FROM generate_series(0, 301, 3) u, shop.recommend(u, 20, exclude_seen => u % 2 = 0) r};
my $expected = $node->safe_psql('postgres', $all);

my $directory = $node->data_dir . '/base/pgsql_tmp';

sub files
{
    my @files = sort map { s/.*\///r } glob("$directory/pgsql_tmp_gnnrec_*");
    return @files;
}

my ($name) = files();
my $path = "$directory/$name";
my $sound = slurp_file($path);

sub write_file
{
    my ($content) = @_;
    unlink $path;
    append_to_file($path, $content);
    chmod 0600, $path or die "chmod $path: $!";
}

# the same as a failing disk would do it: the time of modification is the one the header says
sub write_unnoticed
{
    write_file($_[0]);
    my $written = unpack('q', substr($sound, 64, 8));
    utime $written, $written, $path or die "utime $path: $!";
}

# is this the sound file, made now or then?
sub is_sound
{
    my ($image) = @_;
    return 0 if length($image) != length($sound);
    # what tells when it was made, and the checksum of the header that this is in
    substr($image, $_->[0], $_->[1]) = substr($sound, $_->[0], $_->[1]) for [12, 4], [64, 8];
    return $image eq $sound;
}

# a new session's answer, its messages
sub answer { my ($ret, $out, $err) = $node->psql('postgres', $_[0] // $all); return ($out, $err, $ret) }

#
# The file as it should be
#
is(scalar(files()), 1, 'a run that is asked for has a file');
like($name, qr/^pgsql_tmp_gnnrec_\d+_\d+_1$/, 'its name carries the run');
is((stat $path)[2] & 07777, 0600, 'nobody else may read it');
my $inode = (stat $path)[1];
is((answer())[0], $expected, 'another session answers the same');
is((stat $path)[1], $inode, 'from the same file');

# what a session has mapped, once it answered from two runs in two transactions
SKIP:
{
    skip 'no /proc/self/maps', 1 unless -r '/proc/self/maps';
    my ($maps) = answer(<<'SQL');
UPDATE gnnrec.model SET live_run = 2;
DO $$ BEGIN PERFORM shop.recommend(1); END $$;
UPDATE gnnrec.model SET live_run = 1;
DO $$ BEGIN PERFORM shop.recommend(1); END $$;
SELECT string_agg(DISTINCT substring(line FROM '_gnnrec_\d+_\d+_(.*)$'), ' ')
FROM regexp_split_to_table(pg_read_file('/proc/self/maps'), '\n') line;
SQL
    is($maps, 1, 'a run that is no longer live is unmapped');
}

# an image with the checksum of its header and section table
sub with_checksum
{
    my ($image) = @_;
    my $n = unpack('L', substr($image, 48, 4));
    my $crc = 0xFFFFFFFF;
    for my $byte (unpack('C*', substr($image, 0, 12) . "\0\0\0\0" . substr($image, 16, 56 + $n * 24)))
    {
        $crc ^= $byte;
        $crc = ($crc >> 1) ^ (0x82F63B78 & -($crc & 1)) for 1 .. 8;
    }
    substr($image, 12, 4) = pack('L', ($crc ^ 0xFFFFFFFF) & 0xFFFFFFFF);
    return $image;
}

# the sound image with other bytes at some place
sub patched
{
    my ($at, $bytes) = @_;
    my $image = $sound;
    substr($image, $at, length($bytes)) = $bytes;
    return $image;
}

# so many dimensions that the bytes of a vector are 0 in 32 bits, and the widths of the sections to match
sub oversized
{
    my $image = patched(44, pack('L', 1 << 30));
    for my $section (0 .. unpack('L', substr($sound, 48, 4)) - 1)
    {
        my $kind = unpack('S', substr($sound, 72 + $section * 24, 2));
        substr($image, 72 + $section * 24 + 4, 4) = pack('L', 0) if $kind == 4 || $kind == 5;
    }
    return $image;
}

is(with_checksum(patched(12, 'none')), $sound, 'the checksum is computed here as there');

#
# Files that are unsound from the start: made again
#
my $half = int(length($sound) / 2);
$node->safe_psql('postgres', "UPDATE gnnrec.model SET live_run = 2; $all; UPDATE gnnrec.model SET live_run = 1");
my $run_2 = slurp_file($path =~ s/_1$/_2/r);
my %unsound = (
    'is missing' => undef,
    'is empty' => '',
    'is a part of the header' => substr($sound, 0, 20),
    'is a part of the section table' => substr($sound, 0, 100),
    'is cut short' => substr($sound, 0, $half),
    'lacks the last byte' => substr($sound, 0, -1),
    'has a byte too many' => $sound . "\0",
    'is garbage' => join('', map { chr(($_ * 7919) % 251) } 1 .. length($sound)),
    'is all zero' => "\0" x length($sound),
    'has another checksum' => patched(12, 'none'),
    'has another magic' => with_checksum(patched(0, 'x')),
    'has another layout version' => with_checksum(patched(8, pack('L', 999))),
    'is of another cluster' => with_checksum(patched(56, pack('Q', 1))),
    'is of another database' => with_checksum(patched(16, pack('L', 1))),
    'is of another extension' => with_checksum(patched(20, pack('L', 1))),
    'has the number of another run' => with_checksum(patched(24, pack('q', 2))),
    'is of another model' => with_checksum(patched(40, pack('L', 2))),
    'has no dimensions' => with_checksum(patched(44, pack('L', 0))),
    'has vectors whose size overflows' => with_checksum(oversized()),
    'is of another run' => $run_2,
);
for my $what (sort keys %unsound)
{
    defined $unsound{$what} ? write_file($unsound{$what}) : unlink $path;
    is((answer())[0], $expected, "a file that $what: the answers are right");
    ok(is_sound(slurp_file($path)), "a file that $what: it is made again");
}

# sections are checked beyond the checksum, some only when they are used
my $n_sections = unpack('L', substr($sound, 48, 4));
# name, place in the section's entry, how it is packed, wrong value
for my $field (['count', 8, 'q', -1], ['count', 8, 'q', 1 << 50], ['count', 8, 'q', 7], ['offset', 16, 'q', -64],
    ['offset', 16, 'q', 1 << 50], ['offset', 16, 'q', 8], ['kind', 0, 'S', 999], ['width', 4, 'L', 0])
{
    my ($what, $at, $packing, $value) = @$field;
    my $wrong = 0;
    for my $section (0 .. $n_sections - 1)
    {
        write_file(with_checksum(patched(72 + $section * 24 + $at, pack($packing, $value))));
        answer('SELECT 1 FROM shop.recommend(1)');
        $wrong++ unless (answer('SELECT 1 FROM shop.recommend(1)'))[2] == 0 && is_sound(slurp_file($path));
    }
    is($wrong, 0, "any section with $what $value: the file is made again");
}

#
# Bits that flip in the body and nobody notices, the file's time being what it was: an error or an answer, and the server stays up
#
my $header = 72 + $n_sections * 24;
my @codes;
srand(42);
for (1 .. 60)
{
    my $image = $sound;
    for (1 .. 20)
    {
        my $at = $header + int(rand(length($sound) - $header));
        substr($image, $at, 1) = chr(ord(substr($image, $at, 1)) ^ (1 << int(rand(8))));
    }
    write_unnoticed($image);
    my ($out, $err, $ret) = answer("$all; SELECT count(*) FROM shop.similar_items('item0003', NULL);
                                  SELECT count(*) FROM shop.recommend_users('item0003');
                                  SELECT count(*) FROM shop.recommend_users('item0004', NULL, false)");
    push @codes, $ret == 0 ? 'answer' : $err =~ /the file that serves run 1 of model number 1 is damaged/ ? 'error' : $err;
}
is_deeply([grep { $_ ne 'answer' && $_ ne 'error' } @codes], [], 'flipped bits lead to an answer or the error');
ok(scalar(grep { $_ eq 'error' } @codes), 'they do lead to the error');

# every index in the file far out of range; the same session gets it right the second time
for my $value (-1, 1 << 30)
{
    my $image = $sound;
    for my $section (0 .. $n_sections - 1)
    {
        my ($kind, $owner, $width, $count, $offset) = unpack('SSLqq', substr($sound, 72 + $section * 24, 24));
        # popular, isolated, idx, cold and unpopular
        substr($image, $offset, 4 * $count) = pack('l', $value) x $count if grep { $kind == $_ } 8, 9, 11, 17, 18;
    }
    write_unnoticed($image);
    my ($ret, $out, $err) = $node->psql('postgres', "SELECT count(*) FROM shop.recommend(3);\n$all", on_error_stop => 0);
    like($err, qr/is damaged/, "indexes of $value: an error");
    is($out, $expected, "indexes of $value: the question after it is answered");
    ok(is_sound(slurp_file($path)), "indexes of $value: the file is made again");
}
is($node->safe_psql('postgres', 'SELECT 1'), 1, 'the server is up');
unlike(slurp_file($node->logfile), qr/terminated by signal/, 'and never was down');

#
# No file can be written
#
unlink map { "$directory/$_" } files();
chmod 0500, $directory or die "chmod $directory: $!";
my ($out, $err) = answer("$all; UPDATE gnnrec.model SET live_run = 2; SELECT count(*) FROM shop.recommend(1);
                          UPDATE gnnrec.model SET live_run = 1; $all");
chmod 0700, $directory or die "chmod $directory: $!";
is($out, join("\n", $expected, 10, $expected), 'without a file the answers are the same');
is(scalar(() = $err =~ /WARNING:  could not write file/g), 1, 'one warning a session');
is((answer())[0], $expected, 'when it can be written again');
ok(is_sound(slurp_file($path)), 'it is');
is(scalar(grep { /\.\d+$/ } files()), 0, 'no unfinished file is left');

#
# Many sessions at once, one builder; a cancelled builder leaves nothing
#
sub builds { return scalar(() = slurp_file($node->logfile) =~ /built the snapshot of run 1/g) }
unlink $path;
my $before = builds();
my $script = $node->basedir . '/ask.sql';
append_to_file($script, "SELECT * FROM shop.recommend(1, 20);\n");
my $locker = $node->background_psql('postgres');
$locker->query_safe('BEGIN; LOCK TABLE shop.user_embedding');
my $crowd = IPC::Run::start(['pgbench', '-n', '-c', 6, '-t', 1, '-h', $node->host, '-p', $node->port, '-f', $script, 'postgres'],
    '>', \my $crowd_out, '2>', \my $crowd_err);
$node->poll_query_until('postgres', "SELECT count(*) = 6 FROM pg_stat_activity WHERE wait_event_type = 'Lock'");
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"), 5,
    'of six sessions five wait for the one that builds');
$locker->query_safe('ROLLBACK');
ok($crowd->finish, 'all are answered');
is(builds() - $before, 1, 'the file is made once');

unlink $path;
$locker->query_safe('BEGIN; LOCK TABLE shop.user_embedding');
($out, $err) = answer("SET statement_timeout = '200ms'; $all");
like($err, qr/canceling statement due to statement timeout/, 'a builder can be cancelled');
$locker->query_safe('ROLLBACK');
$locker->quit;
is(scalar(grep { /_1(\.|$)/ } files()), 0, 'it leaves no file');
is((answer())[0], $expected, 'and no lock: the next one builds');

$node->safe_psql('postgres', <<'SQL');
SELECT fill(3);
UPDATE shop.user_embedding SET seen = ARRAY[200] WHERE run_id = 3;
UPDATE gnnrec.model SET live_run = 3;
SQL
($out, $err) = answer();
like($err, qr/table "user_embedding" does not hold run 3 as it was trained/, 'tables that do not hold the run are not served');
is(scalar(grep { /_3(\.|$)/ } files()), 0, 'nor is a file left that was half done');
$node->safe_psql('postgres', 'UPDATE gnnrec.model SET live_run = 1');

#
# What a transaction has done to the tables and not committed is nobody else's: deletions too, which leave no row to be seen
#
my $delete = 'DELETE FROM shop.user_embedding WHERE run_id = 1 AND user_id = 3';
my $source = 'SELECT DISTINCT source FROM shop.recommend(3)';
for my $undo (['BEGIN', 'ROLLBACK'], ['BEGIN; SAVEPOINT s', 'ROLLBACK TO s'])
{
    unlink $path;
    is((answer("$undo->[0]; $delete; $source; $undo->[1]; $source"))[0], "popular\nmodel", "a deletion shows to who made it until $undo->[1]");
}
is((answer())[0], $expected, 'nobody else has seen it');

#
# Files that nobody will ask for again go when another one is made
#
append_to_file("$directory/pgsql_tmp_gnnrec_999999_1_1", 'of a database that is gone');
append_to_file("$directory/" . ($name =~ s/_1$/_77/r), 'of a run that is gone');
append_to_file("$directory/" . ($name =~ s/_\d+_1$/_1_1/r), 'of an extension that is gone');
append_to_file("$directory/pgsql_tmp1.1", 'not ours');
unlink $path;
answer();
is_deeply([files()], [$name], 'files of what is gone are swept away');
ok(-e "$directory/pgsql_tmp1.1", 'other files are not');

#
# A restart removes the file, a question makes it again
#
$node->restart;
is(scalar(files()), 0, 'a restart removes the files');
is((answer())[0], $expected, 'the answers are the same');
ok(is_sound(slurp_file($path)), 'and so is the file');

#
# A dropped and recreated extension never meets the files of the old one, not even in the same session
#
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', <<'SQL');
CREATE EXTENSION gnnrec;
CREATE TABLE events (who int, what int);
CREATE FUNCTION ask(x real) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM gnnrec.create_model('m', 'events', user_column => 'who', item_column => 'what');
    INSERT INTO gnnrec.run (run_id, model_id, status, stored, params, trained_by) VALUES (1, 1, 'succeeded', true, '{}', 'hand');
    INSERT INTO m.item_embedding VALUES (1, 1, 0, ARRAY[x]::gnnrec.embedding, ARRAY[x]::gnnrec.embedding, 1, 1);
    INSERT INTO m.user_embedding VALUES (1, 1, '[1]', 1, '{}', NULL);
    UPDATE gnnrec.model SET live_run = 1;
END $$;
SQL
is($node->safe_psql('other', <<'SQL'), "2\n3", 'an old file is not met again');
SELECT ask(2);
SELECT score FROM m.recommend(1);
DROP SCHEMA m CASCADE;
DROP EXTENSION gnnrec CASCADE;
CREATE EXTENSION gnnrec;
SELECT ask(3);
SELECT score FROM m.recommend(1);
SQL

#
# A standby makes its own, writes nothing else, follows what is published and sweeps what is deleted
#
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
my $theirs = $standby->data_dir . '/base/pgsql_tmp';
is(scalar(() = glob("$theirs/pgsql_tmp_gnnrec_*")), 0, 'a base backup has no files');
is($standby->safe_psql('postgres', $all), $expected, 'a standby answers the same');
is(scalar(() = glob("$theirs/pgsql_tmp_gnnrec_*")), 1, 'from its own file');
$node->safe_psql('postgres', 'UPDATE gnnrec.model SET live_run = 2; DELETE FROM gnnrec.run WHERE run_id = 1');
my $second = $node->safe_psql('postgres', $all);
isnt($second, $expected, 'another run, another answer');
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', $all), $second, 'the standby follows');
is_deeply([map { s/.*_//r } glob("$theirs/pgsql_tmp_gnnrec_*")], [2], 'and removes the file of the deleted run');

$standby->stop;
$node->stop;
done_testing();
