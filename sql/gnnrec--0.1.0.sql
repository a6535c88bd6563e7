\echo Use "CREATE EXTENSION gnnrec" to load this file. \quit

-- The schema is made here and not by the control file, so that it belongs to the extension and nobody can have made it before.
CREATE SCHEMA gnnrec;
COMMENT ON SCHEMA gnnrec IS 'gnnrec: graph recommendations';
GRANT USAGE ON SCHEMA gnnrec TO PUBLIC;

------------------------------------------------------------------------------------------------------------------------
-- The vector type
------------------------------------------------------------------------------------------------------------------------

-- An embedding: 1 to 16000 reals, finite all of them, with pgvector's layout in memory, in text and on the wire.
--
-- Type, functions and operators live in schema gnnrec like everything else here. Three ways to use the operators:
--     SET search_path = public, gnnrec                 and then  a <-> b
--     a OPERATOR(gnnrec.<->) b                         wherever search_path is not yours: in views, functions, policies
--     gnnrec.l2_distance(a, b)                         the same by name: each operator has a function
-- Indexes, ORDER BY, GROUP BY and DISTINCT need none of that: they go by the type's operator classes.
--
-- All functions are IMMUTABLE STRICT PARALLEL SAFE without a SET clause, which would cost more than most of them do.

CREATE TYPE gnnrec.embedding;
COMMENT ON TYPE gnnrec.embedding IS
    'vector of 1 to 16000 finite reals, written [1,2,3]; embedding(3) has exactly 3 dimensions; laid out as pgvector''s vector';

CREATE FUNCTION gnnrec.embedding_in(cstring, oid, integer) RETURNS gnnrec.embedding
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_in';
COMMENT ON FUNCTION gnnrec.embedding_in(cstring, oid, integer) IS
    'reads the text form, [1,2,3]';

CREATE FUNCTION gnnrec.embedding_out(gnnrec.embedding) RETURNS cstring
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_out';
COMMENT ON FUNCTION gnnrec.embedding_out(gnnrec.embedding) IS
    'writes the text form, with the fewest digits that read back as the same reals';

CREATE FUNCTION gnnrec.embedding_recv(internal, oid, integer) RETURNS gnnrec.embedding
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_recv';
COMMENT ON FUNCTION gnnrec.embedding_recv(internal, oid, integer) IS
    'reads the binary form: int16 dimensions, int16 0, then a float4 each';

CREATE FUNCTION gnnrec.embedding_send(gnnrec.embedding) RETURNS bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_send';
COMMENT ON FUNCTION gnnrec.embedding_send(gnnrec.embedding) IS
    'writes the binary form: int16 dimensions, int16 0, then a float4 each';

CREATE FUNCTION gnnrec.embedding_typmod_in(cstring[]) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_typmod_in';
COMMENT ON FUNCTION gnnrec.embedding_typmod_in(cstring[]) IS
    'reads the type modifier: the number of dimensions';

CREATE TYPE gnnrec.embedding (
    INPUT = gnnrec.embedding_in,
    OUTPUT = gnnrec.embedding_out,
    RECEIVE = gnnrec.embedding_recv,
    SEND = gnnrec.embedding_send,
    TYPMOD_IN = gnnrec.embedding_typmod_in,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = external            -- compression finds nothing in the bits of reals
);

-- Casts. From arrays on assignment: INSERT takes them, a comparison does not. To real[] always, so that array functions
-- that name their type, and drivers, take an embedding.

CREATE FUNCTION gnnrec.embedding(gnnrec.embedding, integer, boolean) RETURNS gnnrec.embedding
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_coerce';
COMMENT ON FUNCTION gnnrec.embedding(gnnrec.embedding, integer, boolean) IS
    'enforces the number of dimensions of a column';

CREATE FUNCTION gnnrec.embedding(integer[], integer, boolean) RETURNS gnnrec.embedding
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_from_array';
COMMENT ON FUNCTION gnnrec.embedding(integer[], integer, boolean) IS
    'makes an embedding of integer[]';

CREATE FUNCTION gnnrec.embedding(real[], integer, boolean) RETURNS gnnrec.embedding
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_from_array';
COMMENT ON FUNCTION gnnrec.embedding(real[], integer, boolean) IS
    'makes an embedding of real[]';

CREATE FUNCTION gnnrec.embedding(float8[], integer, boolean) RETURNS gnnrec.embedding
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_from_array';
COMMENT ON FUNCTION gnnrec.embedding(float8[], integer, boolean) IS
    'makes an embedding of float8[]';

CREATE FUNCTION gnnrec.embedding(numeric[], integer, boolean) RETURNS gnnrec.embedding
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_from_array';
COMMENT ON FUNCTION gnnrec.embedding(numeric[], integer, boolean) IS
    'makes an embedding of numeric[]';

CREATE FUNCTION gnnrec.real_array(gnnrec.embedding) RETURNS real[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_to_real_array';
COMMENT ON FUNCTION gnnrec.real_array(gnnrec.embedding) IS
    'the elements as real[]';

CREATE FUNCTION gnnrec.float8_array(gnnrec.embedding) RETURNS float8[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_to_float8_array';
COMMENT ON FUNCTION gnnrec.float8_array(gnnrec.embedding) IS
    'the elements as float8[]';

CREATE CAST (gnnrec.embedding AS gnnrec.embedding) WITH FUNCTION gnnrec.embedding(gnnrec.embedding, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (gnnrec.embedding AS gnnrec.embedding) IS 'enforces the number of dimensions of a column';
CREATE CAST (integer[] AS gnnrec.embedding) WITH FUNCTION gnnrec.embedding(integer[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (integer[] AS gnnrec.embedding) IS 'makes an embedding of integer[]';
CREATE CAST (real[] AS gnnrec.embedding) WITH FUNCTION gnnrec.embedding(real[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (real[] AS gnnrec.embedding) IS 'makes an embedding of real[]';
CREATE CAST (float8[] AS gnnrec.embedding) WITH FUNCTION gnnrec.embedding(float8[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (float8[] AS gnnrec.embedding) IS 'makes an embedding of float8[]';
CREATE CAST (numeric[] AS gnnrec.embedding) WITH FUNCTION gnnrec.embedding(numeric[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (numeric[] AS gnnrec.embedding) IS 'makes an embedding of numeric[]';
CREATE CAST (gnnrec.embedding AS real[]) WITH FUNCTION gnnrec.real_array(gnnrec.embedding) AS IMPLICIT;
COMMENT ON CAST (gnnrec.embedding AS real[]) IS 'the elements as real[]';
CREATE CAST (gnnrec.embedding AS float8[]) WITH FUNCTION gnnrec.float8_array(gnnrec.embedding) AS ASSIGNMENT;
COMMENT ON CAST (gnnrec.embedding AS float8[]) IS 'the elements as float8[]';

-- Distances and products. Terms are summed in double, so no finite input overflows.

CREATE FUNCTION gnnrec.dims(gnnrec.embedding) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_dims';
COMMENT ON FUNCTION gnnrec.dims(gnnrec.embedding) IS
    'number of dimensions';

CREATE FUNCTION gnnrec.norm(gnnrec.embedding) RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_norm';
COMMENT ON FUNCTION gnnrec.norm(gnnrec.embedding) IS
    'Euclidean length';

CREATE FUNCTION gnnrec.l2_normalize(gnnrec.embedding) RETURNS gnnrec.embedding
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_l2_normalize';
COMMENT ON FUNCTION gnnrec.l2_normalize(gnnrec.embedding) IS
    'the vector of length 1 in the same direction; the zero vector stays as it is';

CREATE FUNCTION gnnrec.l2_distance(a gnnrec.embedding, b gnnrec.embedding) RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_l2_distance';
COMMENT ON FUNCTION gnnrec.l2_distance(gnnrec.embedding, gnnrec.embedding) IS
    'Euclidean distance; the operator <->';

CREATE FUNCTION gnnrec.inner_product(a gnnrec.embedding, b gnnrec.embedding) RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_inner_product';
COMMENT ON FUNCTION gnnrec.inner_product(gnnrec.embedding, gnnrec.embedding) IS
    'inner product';

CREATE FUNCTION gnnrec.negative_inner_product(a gnnrec.embedding, b gnnrec.embedding) RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_negative_inner_product';
COMMENT ON FUNCTION gnnrec.negative_inner_product(gnnrec.embedding, gnnrec.embedding) IS
    'inner product times -1; the operator <#>';

CREATE FUNCTION gnnrec.cosine_distance(a gnnrec.embedding, b gnnrec.embedding) RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_cosine_distance';
COMMENT ON FUNCTION gnnrec.cosine_distance(gnnrec.embedding, gnnrec.embedding) IS
    '1 - cosine of the angle, 0 to 2; NaN, which sorts last, where either vector is zero; the operator <=>';

CREATE FUNCTION gnnrec.l1_distance(a gnnrec.embedding, b gnnrec.embedding) RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_l1_distance';
COMMENT ON FUNCTION gnnrec.l1_distance(gnnrec.embedding, gnnrec.embedding) IS
    'sum of absolute differences; the operator <+>';

CREATE FUNCTION gnnrec.embedding_add(a gnnrec.embedding, b gnnrec.embedding) RETURNS gnnrec.embedding
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_add';
COMMENT ON FUNCTION gnnrec.embedding_add(gnnrec.embedding, gnnrec.embedding) IS
    'sum, element by element; the operator +';

CREATE FUNCTION gnnrec.embedding_sub(a gnnrec.embedding, b gnnrec.embedding) RETURNS gnnrec.embedding
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_sub';
COMMENT ON FUNCTION gnnrec.embedding_sub(gnnrec.embedding, gnnrec.embedding) IS
    'difference, element by element; the operator -';

CREATE FUNCTION gnnrec.embedding_mul(a gnnrec.embedding, b gnnrec.embedding) RETURNS gnnrec.embedding
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_mul';
COMMENT ON FUNCTION gnnrec.embedding_mul(gnnrec.embedding, gnnrec.embedding) IS
    'product, element by element; the operator *';

CREATE OPERATOR gnnrec.<-> (
    LEFTARG = gnnrec.embedding, RIGHTARG = gnnrec.embedding, FUNCTION = gnnrec.l2_distance,
    COMMUTATOR = OPERATOR(gnnrec.<->)
);
COMMENT ON OPERATOR gnnrec.<-> (gnnrec.embedding, gnnrec.embedding) IS
    'Euclidean distance; outside search_path write OPERATOR(gnnrec.<->)';

CREATE OPERATOR gnnrec.<#> (
    LEFTARG = gnnrec.embedding, RIGHTARG = gnnrec.embedding, FUNCTION = gnnrec.negative_inner_product,
    COMMUTATOR = OPERATOR(gnnrec.<#>)
);
COMMENT ON OPERATOR gnnrec.<#> (gnnrec.embedding, gnnrec.embedding) IS
    'inner product times -1, so that ORDER BY puts the largest product first; outside search_path write OPERATOR(gnnrec.<#>)';

CREATE OPERATOR gnnrec.<=> (
    LEFTARG = gnnrec.embedding, RIGHTARG = gnnrec.embedding, FUNCTION = gnnrec.cosine_distance,
    COMMUTATOR = OPERATOR(gnnrec.<=>)
);
COMMENT ON OPERATOR gnnrec.<=> (gnnrec.embedding, gnnrec.embedding) IS
    '1 - cosine of the angle; NaN, which sorts last, where either vector is zero; outside search_path write OPERATOR(gnnrec.<=>)';

CREATE OPERATOR gnnrec.<+> (
    LEFTARG = gnnrec.embedding, RIGHTARG = gnnrec.embedding, FUNCTION = gnnrec.l1_distance,
    COMMUTATOR = OPERATOR(gnnrec.<+>)
);
COMMENT ON OPERATOR gnnrec.<+> (gnnrec.embedding, gnnrec.embedding) IS
    'sum of absolute differences; outside search_path write OPERATOR(gnnrec.<+>)';

CREATE OPERATOR gnnrec.+ (
    LEFTARG = gnnrec.embedding, RIGHTARG = gnnrec.embedding, FUNCTION = gnnrec.embedding_add,
    COMMUTATOR = OPERATOR(gnnrec.+)
);
COMMENT ON OPERATOR gnnrec.+ (gnnrec.embedding, gnnrec.embedding) IS
    'sum, element by element; outside search_path write OPERATOR(gnnrec.+)';

CREATE OPERATOR gnnrec.- (
    LEFTARG = gnnrec.embedding, RIGHTARG = gnnrec.embedding, FUNCTION = gnnrec.embedding_sub
);
COMMENT ON OPERATOR gnnrec.- (gnnrec.embedding, gnnrec.embedding) IS
    'difference, element by element; outside search_path write OPERATOR(gnnrec.-)';

CREATE OPERATOR gnnrec.* (
    LEFTARG = gnnrec.embedding, RIGHTARG = gnnrec.embedding, FUNCTION = gnnrec.embedding_mul,
    COMMUTATOR = OPERATOR(gnnrec.*)
);
COMMENT ON OPERATOR gnnrec.* (gnnrec.embedding, gnnrec.embedding) IS
    'product, element by element; outside search_path write OPERATOR(gnnrec.*)';

-- Order and equality: element by element, the shorter first where one begins the other, -0 equal to 0; as arrays of reals.

CREATE FUNCTION gnnrec.embedding_lt(a gnnrec.embedding, b gnnrec.embedding) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_lt';
COMMENT ON FUNCTION gnnrec.embedding_lt(gnnrec.embedding, gnnrec.embedding) IS
    'less than; the operator <';

CREATE FUNCTION gnnrec.embedding_le(a gnnrec.embedding, b gnnrec.embedding) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_le';
COMMENT ON FUNCTION gnnrec.embedding_le(gnnrec.embedding, gnnrec.embedding) IS
    'less than or equal; the operator <=';

CREATE FUNCTION gnnrec.embedding_eq(a gnnrec.embedding, b gnnrec.embedding) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_eq';
COMMENT ON FUNCTION gnnrec.embedding_eq(gnnrec.embedding, gnnrec.embedding) IS
    'equal; the operator =';

CREATE FUNCTION gnnrec.embedding_ne(a gnnrec.embedding, b gnnrec.embedding) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_ne';
COMMENT ON FUNCTION gnnrec.embedding_ne(gnnrec.embedding, gnnrec.embedding) IS
    'not equal; the operator <>';

CREATE FUNCTION gnnrec.embedding_ge(a gnnrec.embedding, b gnnrec.embedding) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_ge';
COMMENT ON FUNCTION gnnrec.embedding_ge(gnnrec.embedding, gnnrec.embedding) IS
    'greater than or equal; the operator >=';

CREATE FUNCTION gnnrec.embedding_gt(a gnnrec.embedding, b gnnrec.embedding) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_gt';
COMMENT ON FUNCTION gnnrec.embedding_gt(gnnrec.embedding, gnnrec.embedding) IS
    'greater than; the operator >';

CREATE FUNCTION gnnrec.embedding_cmp(a gnnrec.embedding, b gnnrec.embedding) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_cmp';
COMMENT ON FUNCTION gnnrec.embedding_cmp(gnnrec.embedding, gnnrec.embedding) IS
    '-1, 0 or 1: a before, equal to, after b; btree support';

CREATE FUNCTION gnnrec.embedding_hash(gnnrec.embedding) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_hash';
COMMENT ON FUNCTION gnnrec.embedding_hash(gnnrec.embedding) IS
    'hash support';

CREATE FUNCTION gnnrec.embedding_hash_extended(gnnrec.embedding, bigint) RETURNS bigint
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_hash_extended';
COMMENT ON FUNCTION gnnrec.embedding_hash_extended(gnnrec.embedding, bigint) IS
    'hash support, seeded';

CREATE OPERATOR gnnrec.< (
    LEFTARG = gnnrec.embedding, RIGHTARG = gnnrec.embedding, FUNCTION = gnnrec.embedding_lt,
    COMMUTATOR = OPERATOR(gnnrec.>), NEGATOR = OPERATOR(gnnrec.>=), RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR gnnrec.< (gnnrec.embedding, gnnrec.embedding) IS
    'less than';

CREATE OPERATOR gnnrec.<= (
    LEFTARG = gnnrec.embedding, RIGHTARG = gnnrec.embedding, FUNCTION = gnnrec.embedding_le,
    COMMUTATOR = OPERATOR(gnnrec.>=), NEGATOR = OPERATOR(gnnrec.>), RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR gnnrec.<= (gnnrec.embedding, gnnrec.embedding) IS
    'less than or equal';

CREATE OPERATOR gnnrec.= (
    LEFTARG = gnnrec.embedding, RIGHTARG = gnnrec.embedding, FUNCTION = gnnrec.embedding_eq,
    COMMUTATOR = OPERATOR(gnnrec.=), NEGATOR = OPERATOR(gnnrec.<>), RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES
);
COMMENT ON OPERATOR gnnrec.= (gnnrec.embedding, gnnrec.embedding) IS
    'equal';

CREATE OPERATOR gnnrec.<> (
    LEFTARG = gnnrec.embedding, RIGHTARG = gnnrec.embedding, FUNCTION = gnnrec.embedding_ne,
    COMMUTATOR = OPERATOR(gnnrec.<>), NEGATOR = OPERATOR(gnnrec.=), RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR gnnrec.<> (gnnrec.embedding, gnnrec.embedding) IS
    'not equal';

CREATE OPERATOR gnnrec.>= (
    LEFTARG = gnnrec.embedding, RIGHTARG = gnnrec.embedding, FUNCTION = gnnrec.embedding_ge,
    COMMUTATOR = OPERATOR(gnnrec.<=), NEGATOR = OPERATOR(gnnrec.<), RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR gnnrec.>= (gnnrec.embedding, gnnrec.embedding) IS
    'greater than or equal';

CREATE OPERATOR gnnrec.> (
    LEFTARG = gnnrec.embedding, RIGHTARG = gnnrec.embedding, FUNCTION = gnnrec.embedding_gt,
    COMMUTATOR = OPERATOR(gnnrec.<), NEGATOR = OPERATOR(gnnrec.<=), RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR gnnrec.> (gnnrec.embedding, gnnrec.embedding) IS
    'greater than';

CREATE OPERATOR FAMILY gnnrec.embedding_ops USING btree;
COMMENT ON OPERATOR FAMILY gnnrec.embedding_ops USING btree IS 'order of embeddings: ORDER BY, UNIQUE, range conditions';
CREATE OPERATOR CLASS gnnrec.embedding_ops DEFAULT FOR TYPE gnnrec.embedding USING btree FAMILY gnnrec.embedding_ops AS
    OPERATOR 1 gnnrec.<,
    OPERATOR 2 gnnrec.<=,
    OPERATOR 3 gnnrec.=,
    OPERATOR 4 gnnrec.>=,
    OPERATOR 5 gnnrec.>,
    FUNCTION 1 gnnrec.embedding_cmp(gnnrec.embedding, gnnrec.embedding);
COMMENT ON OPERATOR CLASS gnnrec.embedding_ops USING btree IS 'order of embeddings: ORDER BY, UNIQUE, range conditions';

CREATE OPERATOR FAMILY gnnrec.embedding_ops USING hash;
COMMENT ON OPERATOR FAMILY gnnrec.embedding_ops USING hash IS 'hash of embeddings: hash joins, aggregation, indexes, partitions';
CREATE OPERATOR CLASS gnnrec.embedding_ops DEFAULT FOR TYPE gnnrec.embedding USING hash FAMILY gnnrec.embedding_ops AS
    OPERATOR 1 gnnrec.=,
    FUNCTION 1 gnnrec.embedding_hash(gnnrec.embedding),
    FUNCTION 2 gnnrec.embedding_hash_extended(gnnrec.embedding, bigint);
COMMENT ON OPERATOR CLASS gnnrec.embedding_ops USING hash IS 'hash of embeddings: hash joins, aggregation, indexes, partitions';

-- Aggregates. The state is the number of rows and their sum in double; NULLs are skipped, no rows give NULL.

CREATE FUNCTION gnnrec.embedding_accum(state float8[], value gnnrec.embedding) RETURNS float8[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_accum';
COMMENT ON FUNCTION gnnrec.embedding_accum(float8[], gnnrec.embedding) IS
    'adds a row to the state of sum and avg';

CREATE FUNCTION gnnrec.embedding_combine(a float8[], b float8[]) RETURNS float8[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_combine';
COMMENT ON FUNCTION gnnrec.embedding_combine(float8[], float8[]) IS
    'adds two states of sum and avg';

CREATE FUNCTION gnnrec.embedding_sum(state float8[]) RETURNS gnnrec.embedding
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_sum';
COMMENT ON FUNCTION gnnrec.embedding_sum(float8[]) IS
    'the sum a state stands for';

CREATE FUNCTION gnnrec.embedding_avg(state float8[]) RETURNS gnnrec.embedding
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gnnrec_embedding_avg';
COMMENT ON FUNCTION gnnrec.embedding_avg(float8[]) IS
    'the mean a state stands for';

CREATE AGGREGATE gnnrec.sum(gnnrec.embedding) (
    SFUNC = gnnrec.embedding_accum, STYPE = float8[], INITCOND = '{0}',
    COMBINEFUNC = gnnrec.embedding_combine, FINALFUNC = gnnrec.embedding_sum, PARALLEL = SAFE
);
COMMENT ON AGGREGATE gnnrec.sum(gnnrec.embedding) IS
    'sum, element by element; an error where the dimensions differ or an element overflows';

CREATE AGGREGATE gnnrec.avg(gnnrec.embedding) (
    SFUNC = gnnrec.embedding_accum, STYPE = float8[], INITCOND = '{0}',
    COMBINEFUNC = gnnrec.embedding_combine, FINALFUNC = gnnrec.embedding_avg, PARALLEL = SAFE
);
COMMENT ON AGGREGATE gnnrec.avg(gnnrec.embedding) IS
    'mean, element by element; an error where the dimensions differ';

------------------------------------------------------------------------------------------------------------------------
-- The catalogue: models, their node types and relations, their runs
------------------------------------------------------------------------------------------------------------------------

CREATE TABLE gnnrec.model
(
    model_id    integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    name        text NOT NULL UNIQUE,
    params      jsonb NOT NULL DEFAULT '{}',
    keep_runs   integer NOT NULL DEFAULT 2,
    live_run    bigint,
    made_schema boolean NOT NULL DEFAULT false,
    created_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE gnnrec.model IS 'One row a model. live_run is the run that every query answers from: a commit switches it, a rollback does not';
COMMENT ON COLUMN gnnrec.model.params IS 'Training parameters that differ from the defaults (see gnnrec.parameters)';
COMMENT ON COLUMN gnnrec.model.made_schema IS 'Whether create_model made the model''s schema, which drop_model then drops';
COMMENT ON COLUMN gnnrec.model.keep_runs IS 'How many successful runs are kept, the live one included';

CREATE TABLE gnnrec.node_type
(
    model_id        integer NOT NULL REFERENCES gnnrec.model,
    type_no         integer NOT NULL,
    name            text NOT NULL,
    id_type         regtype NOT NULL,
    embedding_table regclass NOT NULL,
    PRIMARY KEY (model_id, type_no),
    UNIQUE (model_id, name)
);
COMMENT ON TABLE gnnrec.node_type IS 'The node types of a model''s graph and the table that holds each type''s embeddings; type 0 is user, type 1 item';

CREATE TABLE gnnrec.relation
(
    model_id      integer NOT NULL REFERENCES gnnrec.model,
    relation_no   integer NOT NULL,
    name          text NOT NULL,
    source        regclass NOT NULL,
    from_type     integer NOT NULL,
    from_column   name NOT NULL,
    to_type       integer NOT NULL,
    to_column     name NOT NULL,
    event_column  name,
    event_weights jsonb,
    value_column  name,
    time_column   name,
    half_life     interval,
    since         timestamptz,
    PRIMARY KEY (model_id, relation_no),
    UNIQUE (model_id, name),
    FOREIGN KEY (model_id, from_type) REFERENCES gnnrec.node_type,
    FOREIGN KEY (model_id, to_type) REFERENCES gnnrec.node_type
);
COMMENT ON TABLE gnnrec.relation IS 'The relations of a model''s graph: which columns of which table are edges, and what weighs them; relation 0 is what is learned and ranked';

CREATE TABLE gnnrec.run
(
    run_id       bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    model_id     integer NOT NULL REFERENCES gnnrec.model,
    status       text NOT NULL CHECK (status IN ('starting', 'running', 'succeeded', 'failed', 'cancelled', 'lost')),
    phase        text,
    step         integer,
    steps        integer,
    loss         float8,
    metrics      jsonb,
    message      text,
    params       jsonb NOT NULL,
    pid          integer,
    trained_by   text NOT NULL,
    rows_read    bigint,
    rows_skipped bigint,
    peak_memory  bigint,
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at   timestamptz,
    finished_at  timestamptz
);
CREATE INDEX run_model_idx ON gnnrec.run (model_id, run_id);
COMMENT ON TABLE gnnrec.run IS 'One row a training run: what it was asked for, how far it is, how it ended';
COMMENT ON COLUMN gnnrec.run.params IS 'All parameters of the run, defaults included';
COMMENT ON COLUMN gnnrec.run.rows_skipped IS 'Interactions left out: NULL ids, unknown event kinds';
COMMENT ON COLUMN gnnrec.run.peak_memory IS 'Largest resident memory of the training process, bytes';

CREATE TABLE gnnrec.run_step
(
    run_id  bigint NOT NULL REFERENCES gnnrec.run ON DELETE CASCADE,
    step    integer NOT NULL,
    loss    float8,
    seconds float8,
    ndcg    float8,
    PRIMARY KEY (run_id, step)
);
COMMENT ON TABLE gnnrec.run_step IS 'One row a training step: the loss, how long it took, and ndcg@20 on the held-out interactions where it was measured';

-- What a dump takes along: definitions, and the runs whose embeddings the dump holds.
SELECT pg_catalog.pg_extension_config_dump('gnnrec.model', '');
SELECT pg_catalog.pg_extension_config_dump('gnnrec.model_model_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('gnnrec.node_type', '');
SELECT pg_catalog.pg_extension_config_dump('gnnrec.relation', '');
SELECT pg_catalog.pg_extension_config_dump('gnnrec.run', 'WHERE status = ''succeeded''');
SELECT pg_catalog.pg_extension_config_dump('gnnrec.run_run_id_seq', '');

------------------------------------------------------------------------------------------------------------------------
-- Defining a model
------------------------------------------------------------------------------------------------------------------------

------------------------------------------------------------------------------------------------------------------------
-- Training
------------------------------------------------------------------------------------------------------------------------

------------------------------------------------------------------------------------------------------------------------
-- Recommending: what the wrappers in a model's schema call
------------------------------------------------------------------------------------------------------------------------

-- recommend_core may read the interactions of a user whom the run does not know, from whatever the source is: in the leader only.
CREATE FUNCTION gnnrec.recommend_core(model_id integer, user_id anyelement, item_type anycompatible, k integer,
                                      candidates anycompatiblearray, exclude anycompatiblearray, exclude_seen boolean, fresh boolean)
    RETURNS TABLE (item_id anycompatible, score real, rank integer, source text)
    AS 'MODULE_PATHNAME', 'gnnrec_recommend_core' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10 COST 10000;
COMMENT ON FUNCTION gnnrec.recommend_core(integer, anyelement, anycompatible, integer, anycompatiblearray, anycompatiblearray, boolean, boolean) IS
    'What recommend() in a model''s schema calls. item_type carries the type of item ids and no value';

CREATE FUNCTION gnnrec.recommend_for_core(model_id integer, items anyarray, weights real[], k integer, candidates anyarray, exclude anyarray)
    RETURNS TABLE (item_id anyelement, score real, rank integer, source text)
    AS 'MODULE_PATHNAME', 'gnnrec_recommend_for_core' LANGUAGE C STABLE PARALLEL SAFE ROWS 10 COST 10000;
COMMENT ON FUNCTION gnnrec.recommend_for_core(integer, anyarray, real[], integer, anyarray, anyarray) IS
    'What recommend_for() in a model''s schema calls';

CREATE FUNCTION gnnrec.similar_core(model_id integer, node_type text, id anyelement, k integer)
    RETURNS TABLE (similar_id anyelement, score real, rank integer)
    AS 'MODULE_PATHNAME', 'gnnrec_similar_core' LANGUAGE C STABLE PARALLEL SAFE ROWS 10 COST 10000;
COMMENT ON FUNCTION gnnrec.similar_core(integer, text, anyelement, integer) IS
    'What similar_items() and similar_users() in a model''s schema call';

CREATE FUNCTION gnnrec.similarity_core(model_id integer, node_type text, a anyelement, b anyelement) RETURNS real
    AS 'MODULE_PATHNAME', 'gnnrec_similarity_core' LANGUAGE C STABLE PARALLEL SAFE COST 100;
COMMENT ON FUNCTION gnnrec.similarity_core(integer, text, anyelement, anyelement) IS
    'What similarity() in a model''s schema calls';

CREATE FUNCTION gnnrec.score_core(model_id integer, user_id anyelement, item_id anycompatible) RETURNS real
    AS 'MODULE_PATHNAME', 'gnnrec_score_core' LANGUAGE C STABLE PARALLEL SAFE COST 100;
COMMENT ON FUNCTION gnnrec.score_core(integer, anyelement, anycompatible) IS
    'What score() in a model''s schema calls';

CREATE FUNCTION gnnrec.recommend(model text, user_id text, k integer DEFAULT 10)
    RETURNS TABLE (item_id text, score real, rank integer, source text)
    AS 'MODULE_PATHNAME', 'gnnrec_recommend' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10 COST 10000;
COMMENT ON FUNCTION gnnrec.recommend(text, text, integer) IS
    'The k items with the highest score for a user of a model, for tools that do not know the id types: ids are text';

CREATE FUNCTION gnnrec.similar_items(model text, item_id text, k integer DEFAULT 10)
    RETURNS TABLE (similar_id text, score real, rank integer)
    AS 'MODULE_PATHNAME', 'gnnrec_similar_items' LANGUAGE C STABLE PARALLEL SAFE ROWS 10 COST 10000;
COMMENT ON FUNCTION gnnrec.similar_items(text, text, integer) IS
    'The k items of a model most similar to an item, for tools that do not know the id types: ids are text';

------------------------------------------------------------------------------------------------------------------------
-- Measuring
------------------------------------------------------------------------------------------------------------------------
