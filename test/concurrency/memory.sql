-- a backend keeps little memory, and the files of few runs
SELECT demand(sum(total_bytes) < 16 * 1024 * 1024, 'memory: ' || sum(total_bytes)) FROM pg_backend_memory_contexts;
SELECT demand(count(DISTINCT line) <= 4, 'mapped: ' || string_agg(DISTINCT line, ' '))
FROM regexp_split_to_table(pg_read_file('/proc/self/maps'), '\n') l, substring(l FROM 'pgsql_tmp_gnnrec.*') line;
