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

-- The tables that a dump takes along have no foreign keys: pg_restore --jobs fills the tables of an extension in any order. Only
-- our own functions write here, one at a time for each model.
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
COMMENT ON TABLE gnnrec.model IS
    'One row a model. live_run is the run that every query answers from: a commit switches it, a rollback does not';
COMMENT ON COLUMN gnnrec.model.params IS 'Training parameters that differ from the defaults (see gnnrec.parameters)';
COMMENT ON COLUMN gnnrec.model.made_schema IS 'Whether create_model made the model''s schema, which drop_model then drops';
COMMENT ON COLUMN gnnrec.model.keep_runs IS 'How many successful runs are kept, the live one included';

CREATE TABLE gnnrec.node_type
(
    model_id        integer NOT NULL,
    type_no         integer NOT NULL,
    name            text NOT NULL,
    id_type         regtype NOT NULL,
    embedding_table regclass NOT NULL,
    catalogue       regclass,
    catalogue_id    name,
    PRIMARY KEY (model_id, type_no),
    UNIQUE (model_id, name)
);
CREATE INDEX node_type_embedding_table_idx ON gnnrec.node_type (embedding_table);
COMMENT ON TABLE gnnrec.node_type IS
    'The node types of a model''s graph and the table that holds each type''s embeddings; type 0 is user, type 1 item';
COMMENT ON COLUMN gnnrec.node_type.catalogue IS
    'The table whose rows are nodes of the type, those that no relation mentions too; NULL: there is none';
COMMENT ON COLUMN gnnrec.node_type.catalogue_id IS 'The column of the catalogue that holds the ids';

CREATE TABLE gnnrec.relation
(
    model_id        integer NOT NULL,
    relation_no     integer NOT NULL,
    name            text NOT NULL,
    source          regclass NOT NULL,
    from_type       integer NOT NULL,
    from_column     name NOT NULL,
    to_type         integer NOT NULL,
    to_column       name NOT NULL,
    event_column    name,
    event_weights   jsonb,
    value_column    name,
    time_column     name,
    half_life       interval,
    since           timestamptz,
    seen_events     text[],
    relation_column name,
    weight          real NOT NULL DEFAULT 1,
    behaviours      text NOT NULL DEFAULT 'merged' CHECK (behaviours IN ('merged', 'separate')),
    target_event    text,
    PRIMARY KEY (model_id, relation_no),
    UNIQUE (model_id, name)
);
COMMENT ON TABLE gnnrec.relation IS
    'The relations of a model''s graph: which columns of which table are edges, and what weighs them; relation 0 is what is '
    'learned and ranked';
COMMENT ON COLUMN gnnrec.relation.seen_events IS
    'The kinds of event that hide an item from who has seen it; NULL: every kind does';
COMMENT ON COLUMN gnnrec.relation.relation_column IS
    'The column whose values make a relation each in the graph; NULL: all rows are one relation';
COMMENT ON COLUMN gnnrec.relation.weight IS 'What the weights of all rows are multiplied by';
COMMENT ON COLUMN gnnrec.relation.behaviours IS
    'Whether the kinds of event are merged into one relation of the graph, or make one each, of which target_event is learned '
    'and ranked';
COMMENT ON COLUMN gnnrec.relation.target_event IS
    'The kind of event that is learned and ranked where behaviours are separate; NULL: the one of the largest weight';

CREATE TABLE gnnrec.feature
(
    model_id    integer NOT NULL,
    feature_no  integer NOT NULL,
    type_no     integer NOT NULL,
    column_name name NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('category', 'number', 'text', 'vector')),
    size        integer,
    PRIMARY KEY (model_id, feature_no),
    UNIQUE (model_id, type_no, column_name)
);
COMMENT ON TABLE gnnrec.feature IS 'The features of a model''s nodes: columns of the catalogues of their types';
COMMENT ON COLUMN gnnrec.feature.size IS
    'How many columns the values of a category, or the words of a text, are hashed to; NULL: each value of a category has '
    'one, a text 16384';

CREATE TABLE gnnrec.run
(
    run_id       bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    model_id     integer NOT NULL,
    status       text NOT NULL CHECK (status IN ('starting', 'running', 'succeeded', 'failed', 'cancelled', 'lost')),
    phase        text,
    step         integer,
    steps        integer,
    loss         float8,
    metrics      jsonb,
    message      text,
    params       jsonb NOT NULL,
    stored       boolean NOT NULL DEFAULT false,
    pid          integer,
    trained_by   text NOT NULL,
    rows_read    bigint,
    rows_skipped bigint,
    peak_memory  bigint,
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at   timestamptz,
    finished_at  timestamptz,
    explainable  boolean NOT NULL DEFAULT false,
    newest_event float8,
    task         text NOT NULL DEFAULT 'training' CHECK (task IN ('training', 'materialization')),
    weights      real[]
);
ALTER TABLE gnnrec.run ALTER weights SET STORAGE EXTERNAL;
CREATE INDEX run_model_idx ON gnnrec.run (model_id, run_id);
COMMENT ON TABLE gnnrec.run IS
    'One row a run, a training or another job of a background worker: what it was asked for, how far it is, how it ended';
COMMENT ON COLUMN gnnrec.run.task IS 'What the run does: a training, or a materialization of all users'' lists';
COMMENT ON COLUMN gnnrec.run.weights IS
    'Of a stored run of a model that folds users in by its own layers, from their items or from their features, the layers'' '
    'weights; otherwise NULL';
COMMENT ON COLUMN gnnrec.run.params IS 'All parameters of the run, defaults included';
COMMENT ON COLUMN gnnrec.run.stored IS 'Whether the model''s tables hold the run''s embeddings';
COMMENT ON COLUMN gnnrec.run.metrics IS
    'Sizes, of each node type and each relation of the graph too, seconds of each phase, and recall@20 and ndcg@20 on the '
    'held-out interactions where there are any';
COMMENT ON COLUMN gnnrec.run.rows_skipped IS
    'Interactions left out: NULL ids, unknown event kinds, NULL or infinite values and times';
COMMENT ON COLUMN gnnrec.run.newest_event IS
    'Time of the newest interaction the run read, seconds since 1970: later ones are fresh, and decay counts from here';
COMMENT ON COLUMN gnnrec.run.peak_memory IS
    'Largest resident memory of a process of the run, without the server''s shared buffers, bytes; what gnnrec.estimate '
    'estimates';
COMMENT ON COLUMN gnnrec.run.explainable IS
    'Whether a score is the sum of a share of each interaction, which explain() tells apart: a linear model, with layers, '
    'without a holdout';

CREATE TABLE gnnrec.run_step
(
    run_id  bigint NOT NULL REFERENCES gnnrec.run ON DELETE CASCADE,
    step    integer NOT NULL,
    loss    float8,
    seconds float8,
    ndcg    float8,
    PRIMARY KEY (run_id, step)
);
COMMENT ON TABLE gnnrec.run_step IS
    'One row a training step: the loss, how long it took, and ndcg@20 on the held-out interactions where it was measured';

-- Without foreign keys: a parallel restore fills tables in any order, after it has made their constraints.
CREATE TABLE gnnrec.run_feature
(
    run_id      bigint NOT NULL,
    feature_no  integer NOT NULL,
    column_name name NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('category', 'number', 'text', 'vector')),
    size        integer CHECK (size > 0),
    PRIMARY KEY (run_id, feature_no)
);
COMMENT ON TABLE gnnrec.run_feature IS
    'Of a stored run of a model that folds in by features, those of users it was trained with: columns of their catalogue, '
    'from which those who come later get a vector, or a part of it';
COMMENT ON COLUMN gnnrec.run_feature.size IS
    'How many columns the values of a category, or the words of a text, were hashed to, or how many numbers a row had; NULL: '
    'each value of a category had a column';

CREATE TABLE gnnrec.run_feature_column
(
    run_id     bigint NOT NULL,
    feature_no integer NOT NULL,
    column_no  integer NOT NULL,
    value      text,
    mean       float8,
    deviation  float8,
    embedding  gnnrec.embedding NOT NULL,
    PRIMARY KEY (run_id, feature_no, column_no)
);
COMMENT ON TABLE gnnrec.run_feature_column IS
    'What a run''s features of users became: columns of a matrix, each with the vector that it adds to a user who has it; '
    'columns that no user had are not listed';
COMMENT ON COLUMN gnnrec.run_feature_column.column_no IS
    'Number of the value, in the order of bytes; of the hash of a value or word; or of the number in its row, with the '
    'column of missing ones behind the last';
COMMENT ON COLUMN gnnrec.run_feature_column.value IS 'The value of a category that the column stands for, where each had one';
COMMENT ON COLUMN gnnrec.run_feature_column.mean IS
    'Of numbers, what is subtracted; then they are divided by the deviation, and by the root of how many a row has';

CREATE FUNCTION gnnrec.has_tables(model_id integer) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE STRICT
    RETURN NOT EXISTS (SELECT FROM gnnrec.node_type t LEFT JOIN pg_catalog.pg_class c ON c.oid = t.embedding_table
                       WHERE t.model_id = has_tables.model_id AND c.oid IS NULL);
COMMENT ON FUNCTION gnnrec.has_tables(integer) IS 'Whether a model''s tables are there: they can be dropped by hand';

-- What a dump takes along: definitions, and the runs whose embeddings the dump holds. A table that is gone would be dumped as the
-- number it had, which is another table's where the dump is restored.
SELECT pg_catalog.pg_extension_config_dump('gnnrec.model', 'WHERE gnnrec.has_tables(model_id)');
SELECT pg_catalog.pg_extension_config_dump('gnnrec.model_model_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('gnnrec.node_type', 'WHERE gnnrec.has_tables(model_id)');
SELECT pg_catalog.pg_extension_config_dump('gnnrec.relation', 'WHERE gnnrec.has_tables(model_id)');
SELECT pg_catalog.pg_extension_config_dump('gnnrec.feature', 'WHERE gnnrec.has_tables(model_id)');
SELECT pg_catalog.pg_extension_config_dump('gnnrec.run', 'WHERE stored AND gnnrec.has_tables(model_id)');
SELECT pg_catalog.pg_extension_config_dump('gnnrec.run_run_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('gnnrec.run_feature',
    'WHERE run_id IN (SELECT run_id FROM gnnrec.run WHERE stored AND gnnrec.has_tables(model_id))');
SELECT pg_catalog.pg_extension_config_dump('gnnrec.run_feature_column',
    'WHERE run_id IN (SELECT run_id FROM gnnrec.run WHERE stored AND gnnrec.has_tables(model_id))');

------------------------------------------------------------------------------------------------------------------------
-- Defining a model
------------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION gnnrec.create_model(model text, source regclass, user_column name DEFAULT 'user_id',
    item_column name DEFAULT 'item_id', event_column name DEFAULT NULL, event_weights jsonb DEFAULT NULL,
    value_column name DEFAULT NULL, time_column name DEFAULT NULL, half_life interval DEFAULT NULL,
    since timestamptz DEFAULT NULL, params jsonb DEFAULT '{}', schema name DEFAULT NULL, keep_runs integer DEFAULT 2,
    seen_events text[] DEFAULT NULL, items regclass DEFAULT NULL, users regclass DEFAULT NULL, behaviours text DEFAULT 'merged',
    target_event text DEFAULT NULL) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'gnnrec_create_model';
COMMENT ON FUNCTION gnnrec.create_model(text, regclass, name, name, name, jsonb, name, name, interval, timestamptz, jsonb, name,
    integer, text[], regclass, regclass, text, text) IS
    'Makes a model of an interaction table: a schema (the model''s name, or the one given) with typed functions and embedding '
    'tables. A row''s weight is its event''s weight times its value, halved every half_life; rows before since are not read. '
    'What a user has seen is hidden from them; seen_events: only by these kinds of event. items, users: tables whose rows are '
    'items and users though they have no interactions, see set_catalogue. behaviours: merged, the kinds of event are learned '
    'together; separate, target_event is learned, by default the one of the largest weight, and the others are context';

CREATE FUNCTION gnnrec.alter_model(model text, params jsonb DEFAULT NULL, keep_runs integer DEFAULT NULL,
    source regclass DEFAULT NULL, user_column name DEFAULT NULL, item_column name DEFAULT NULL, event_column name DEFAULT NULL,
    event_weights jsonb DEFAULT NULL, value_column name DEFAULT NULL, time_column name DEFAULT NULL,
    half_life interval DEFAULT NULL, since timestamptz DEFAULT NULL, reset text[] DEFAULT NULL, new_name text DEFAULT NULL,
    seen_events text[] DEFAULT NULL, items regclass DEFAULT NULL, users regclass DEFAULT NULL, behaviours text DEFAULT NULL,
    target_event text DEFAULT NULL) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'gnnrec_alter_model';
COMMENT ON FUNCTION gnnrec.alter_model(text, jsonb, integer, regclass, name, name, name, jsonb, name, name, interval,
    timestamptz, text[], text, text[], regclass, regclass, text, text) IS
    'Changes what is given and leaves the rest; params are merged into the model''s, a null value takes one back; reset names '
    'options to take away. Takes effect with the next training';

CREATE FUNCTION gnnrec.drop_model(model text, if_exists boolean DEFAULT false, cascade boolean DEFAULT false) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT AS 'MODULE_PATHNAME', 'gnnrec_drop_model';
COMMENT ON FUNCTION gnnrec.drop_model(text, boolean, boolean) IS
    'Drops a model with its functions, tables and runs, and its schema if create_model made it and nothing else is in it; a '
    'training that is going on is cancelled; cascade drops what depends on them too';

CREATE FUNCTION gnnrec.add_relation(model text, relation text, source regclass, from_type text, from_column name, to_type text,
    to_column name, relation_column name DEFAULT NULL, weight real DEFAULT 1, value_column name DEFAULT NULL,
    time_column name DEFAULT NULL, half_life interval DEFAULT NULL, since timestamptz DEFAULT NULL) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'gnnrec_add_relation';
COMMENT ON FUNCTION gnnrec.add_relation(text, text, regclass, text, name, text, name, name, real, name, name, interval,
    timestamptz) IS
    'Makes each row of a table an edge of the model''s graph, between nodes of two types: user, item, or any new name, which '
    'gets a table and functions of its own. A row weighs weight times its value, halved every half_life; rows before since '
    'are not read. relation_column: its values are a relation each. Takes effect with the next training';

CREATE FUNCTION gnnrec.drop_relation(model text, relation text, if_exists boolean DEFAULT false, cascade boolean DEFAULT false)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT AS 'MODULE_PATHNAME', 'gnnrec_drop_relation';
COMMENT ON FUNCTION gnnrec.drop_relation(text, text, boolean, boolean) IS
    'Takes a relation out of the model''s graph from the next training on. A node type that no other relation mentions goes '
    'at once, with its table and functions, and a training that is going on is cancelled; cascade drops what depends on them '
    'too';

CREATE FUNCTION gnnrec.set_catalogue(model text, node_type text, source regclass, id_column name DEFAULT NULL) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'gnnrec_set_catalogue';
COMMENT ON FUNCTION gnnrec.set_catalogue(text, text, regclass, name) IS
    'Makes the rows of a table nodes of a type, also those that no relation mentions; NULL: no table''s. id_column: by '
    'default the one named like the type''s ids in the first relation that has them, or else the primary key. Takes effect '
    'with the next training';

CREATE FUNCTION gnnrec.add_feature(model text, node_type text, column_name name, kind text DEFAULT NULL,
    size integer DEFAULT NULL) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'gnnrec_add_feature';
COMMENT ON FUNCTION gnnrec.add_feature(text, text, name, text, integer) IS
    'Makes a column of a node type''s catalogue a feature of its nodes from the next training on, so that those without '
    'interactions are known by it. kind: category (of an array each element is one), number, text or vector; by default what '
    'the column''s type suggests. size: how many columns the values of a category, or the words of a text, are hashed to';

CREATE FUNCTION gnnrec.drop_feature(model text, node_type text, column_name name) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT AS 'MODULE_PATHNAME', 'gnnrec_drop_feature';
COMMENT ON FUNCTION gnnrec.drop_feature(text, text, name) IS 'Takes a feature out of a model from the next training on';

CREATE FUNCTION gnnrec.parameters(OUT name text, OUT type text, OUT "default" text, OUT allowed text, OUT description text)
    RETURNS SETOF record
    LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 35 AS 'MODULE_PATHNAME', 'gnnrec_parameters';
COMMENT ON FUNCTION gnnrec.parameters() IS 'The training parameters; see the view of the same name';

CREATE FUNCTION gnnrec.models_available(OUT name text, OUT description text, OUT paper text, OUT learning_rate double precision,
    OUT fold_in text, OUT explains boolean, OUT parameters text[]) RETURNS SETOF record
    LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 10 AS 'MODULE_PATHNAME', 'gnnrec_models_available';
COMMENT ON FUNCTION gnnrec.models_available() IS 'What the parameter model can be; see the view of the same name';

CREATE FUNCTION gnnrec.losses_available(OUT name text, OUT description text, OUT negatives integer,
    OUT reg_weight double precision, OUT contrast_weight double precision) RETURNS SETOF record
    LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 4 AS 'MODULE_PATHNAME', 'gnnrec_losses_available';
COMMENT ON FUNCTION gnnrec.losses_available() IS 'What the parameter loss can be; see the view of the same name';

-- Dropping the extension removes the files that its models are served from; no code of ours would be asked otherwise. Nothing
-- that goes wrong there is a reason not to drop: the library may be gone, or whoever drops may not use the schema.
CREATE FUNCTION gnnrec.forget_files() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'gnnrec_forget_files';
COMMENT ON FUNCTION gnnrec.forget_files() IS
    'Removes the files that models are served from when this transaction commits, if it has dropped the extension by then';

CREATE FUNCTION gnnrec.before_drop() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM gnnrec.forget_files();
EXCEPTION WHEN OTHERS THEN
    NULL;
END $$;
COMMENT ON FUNCTION gnnrec.before_drop() IS 'What the event trigger gnnrec_before_drop does: gnnrec.forget_files()';

CREATE EVENT TRIGGER gnnrec_before_drop ON ddl_command_start WHEN TAG IN ('DROP EXTENSION', 'DROP OWNED')
    EXECUTE FUNCTION gnnrec.before_drop();
COMMENT ON EVENT TRIGGER gnnrec_before_drop IS 'Lets DROP EXTENSION gnnrec remove the files that models are served from';

CREATE VIEW gnnrec.parameters AS SELECT * FROM gnnrec.parameters();
COMMENT ON VIEW gnnrec.parameters IS
    'The training parameters that create_model, alter_model and train take: type, default, what is allowed, what it does';
GRANT SELECT ON gnnrec.parameters TO PUBLIC;

CREATE VIEW gnnrec.models_available AS SELECT * FROM gnnrec.models_available();
COMMENT ON VIEW gnnrec.models_available IS
    'What the parameter model can be: its paper, the learning_rate it takes by itself, what a user gets that training did not '
    'know (fold_in: exact, what training would have given; inductive, what the layers make of the items; mean, the weighted '
    'mean of the items; features, what the layers make of the user''s features and, without those, the mean), whether explain() '
    'works, and the parameters it looks at';
GRANT SELECT ON gnnrec.models_available TO PUBLIC;

CREATE VIEW gnnrec.losses_available AS SELECT * FROM gnnrec.losses_available();
COMMENT ON VIEW gnnrec.losses_available IS
    'What the parameter loss can be, and the parameters it brings values of its own for, taken where they are 0';
GRANT SELECT ON gnnrec.losses_available TO PUBLIC;

------------------------------------------------------------------------------------------------------------------------
-- Training
------------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION gnnrec.train(model text, params jsonb DEFAULT '{}', if_running text DEFAULT 'skip') RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT AS 'MODULE_PATHNAME', 'gnnrec_train';
COMMENT ON FUNCTION gnnrec.train(text, jsonb, text) IS
    'Asks for a training with the model''s parameters, overridden by params, and returns the run''s number at once; a '
    'background worker starts when the transaction commits. Where the model is being trained already: a NOTICE and that '
    'run''s number, or an error';

CREATE FUNCTION gnnrec.wait(model text, timeout interval DEFAULT NULL) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'gnnrec_wait';
COMMENT ON FUNCTION gnnrec.wait(text, interval) IS
    'Waits for the model''s newest run and returns its state; an error when it failed, was cancelled or lost. When time is '
    'up: the state it is in';

CREATE PROCEDURE gnnrec.retrain(model text, params jsonb DEFAULT '{}')
    LANGUAGE c AS 'MODULE_PATHNAME', 'gnnrec_retrain';
COMMENT ON PROCEDURE gnnrec.retrain(text, jsonb) IS
    'Trains and waits, without holding a snapshot meanwhile; an error when the run fails. A materialization that is going on '
    'is waited for first. The form for pg_cron';

CREATE FUNCTION gnnrec.materialize(model text, target regclass, k integer DEFAULT 10, mode text DEFAULT 'replace') RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT AS 'MODULE_PATHNAME', 'gnnrec_materialize_lists';
COMMENT ON FUNCTION gnnrec.materialize(text, regclass, integer, text) IS
    'Asks for the lists of all users of the live run, those of recommend_all, in a table with the columns user_id, item_id, '
    'score and rank, and returns the run''s number at once; a background worker starts when the transaction commits and '
    'replaces the rows in one transaction. mode: replace empties the table first, merge leaves the rows of users whom the run '
    'does not know';

CREATE FUNCTION gnnrec.cancel(model text) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT AS 'MODULE_PATHNAME', 'gnnrec_cancel_model';
COMMENT ON FUNCTION gnnrec.cancel(text) IS 'Stops what a worker does for a model; false: nothing. The live run stays live';

CREATE FUNCTION gnnrec.cancel(run_id bigint) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT AS 'MODULE_PATHNAME', 'gnnrec_cancel_run';
COMMENT ON FUNCTION gnnrec.cancel(bigint) IS 'Stops a run; false: it is over. The live run stays live';

CREATE FUNCTION gnnrec.rollback(model text, run_id bigint DEFAULT NULL) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'gnnrec_rollback';
COMMENT ON FUNCTION gnnrec.rollback(text, bigint) IS
    'Makes another kept run live: the one given, or the newest before the live one; returns its number';

CREATE FUNCTION gnnrec.estimate(model text, params jsonb DEFAULT '{}', OUT part text, OUT bytes bigint) RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT ROWS 10 AS 'MODULE_PATHNAME', 'gnnrec_estimate';
COMMENT ON FUNCTION gnnrec.estimate(text, jsonb) IS
    'The memory a training would take, part by part, in bytes of resident memory as peak_memory has it, from a count of the '
    'interactions; gnnrec.train_memory is its limit';

CREATE FUNCTION gnnrec.check(model text, OUT level text, OUT finding text, OUT "count" bigint, OUT hint text) RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT ROWS 10 COST 1000000 AS 'MODULE_PATHNAME', 'gnnrec_check';
COMMENT ON FUNCTION gnnrec.check(text) IS
    'What is wrong or doubtful with a model''s data and its surroundings: error, a training would fail; warning, it would not '
    'learn or serve what was meant; note, good to know. Reads the interactions as a training does, and changes nothing';

------------------------------------------------------------------------------------------------------------------------
-- Who sees what
------------------------------------------------------------------------------------------------------------------------

-- The tables of the catalogue are private. What of them concerns models that a role may see comes through functions, and the
-- views over these: they do not read what is not shown, so not even EXPLAIN ANALYZE of them counts it.

CREATE FUNCTION gnnrec.run_state(model_id integer, status text, requested_at timestamptz) RETURNS text
    LANGUAGE c VOLATILE PARALLEL RESTRICTED STRICT AS 'MODULE_PATHNAME', 'gnnrec_run_state';
COMMENT ON FUNCTION gnnrec.run_state(integer, text, timestamptz) IS
    'The state of a run as it is now: one that says it is running while its worker is gone is lost';
REVOKE EXECUTE ON FUNCTION gnnrec.run_state(integer, text, timestamptz) FROM PUBLIC;

CREATE FUNCTION gnnrec.table_name(relation regclass) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE STRICT
    RETURN (SELECT c.oid::regclass::text FROM pg_catalog.pg_class c WHERE c.oid = relation);
COMMENT ON FUNCTION gnnrec.table_name(regclass) IS
    'The name of a relation, qualified where it has to be; NULL where it was dropped';

CREATE FUNCTION gnnrec.models(OUT name text, OUT item_table text, OUT user_table text, OUT user_id_type regtype,
    OUT item_id_type regtype, OUT source text, OUT user_column name, OUT item_column name, OUT event_column name,
    OUT event_weights jsonb, OUT value_column name, OUT time_column name, OUT half_life interval, OUT since timestamptz,
    OUT seen_events text[], OUT params jsonb, OUT keep_runs integer, OUT live_run bigint, OUT trained_at timestamptz,
    OUT users integer, OUT items integer, OUT interactions bigint, OUT newest_run_state text) RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 10 COST 1000 AS 'MODULE_PATHNAME', 'gnnrec_models';
COMMENT ON FUNCTION gnnrec.models() IS 'The models the current role may see; see the view of the same name';
CREATE VIEW gnnrec.models AS SELECT * FROM gnnrec.models();
COMMENT ON VIEW gnnrec.models IS
    'The models that the current role owns or may read the item table of: what they are made from, their parameters, the run '
    'they answer from and how large it is';

CREATE FUNCTION gnnrec.runs(OUT model text, OUT run_id bigint, OUT task text, OUT state text, OUT phase text, OUT step integer,
    OUT steps integer, OUT loss float8, OUT metrics jsonb, OUT message text, OUT params jsonb, OUT stored boolean,
    OUT explainable boolean, OUT pid integer, OUT trained_by text, OUT rows_read bigint, OUT rows_skipped bigint,
    OUT peak_memory bigint, OUT requested_at timestamptz, OUT started_at timestamptz, OUT finished_at timestamptz,
    OUT newest_event timestamptz) RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 100 COST 1000 AS 'MODULE_PATHNAME', 'gnnrec_runs';
COMMENT ON FUNCTION gnnrec.runs() IS 'The runs of the models that the current role owns; see the view of the same name';
CREATE VIEW gnnrec.runs AS SELECT * FROM gnnrec.runs();
COMMENT ON VIEW gnnrec.runs IS
    'The runs of the models that the current role owns: what they were asked for, how far they are, how they ended. Columns '
    'are explained at table gnnrec.run';

CREATE FUNCTION gnnrec.run_steps(OUT model text, OUT run_id bigint, OUT step integer, OUT loss float8, OUT seconds float8,
    OUT ndcg float8) RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1000 COST 1000 AS 'MODULE_PATHNAME', 'gnnrec_run_steps';
COMMENT ON FUNCTION gnnrec.run_steps() IS
    'The training steps of the models that the current role owns; see the view of the same name';
CREATE VIEW gnnrec.run_steps AS SELECT * FROM gnnrec.run_steps();
COMMENT ON VIEW gnnrec.run_steps IS
    'The training steps of the models that the current role owns: the loss, how long each took, and ndcg@20 on the held-out '
    'interactions where it was measured';

CREATE FUNCTION gnnrec.progress(OUT model text, OUT run_id bigint, OUT task text, OUT state text, OUT phase text,
    OUT step integer, OUT steps integer, OUT loss float8, OUT running_for interval, OUT pid integer, OUT trained_by text)
    RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 1 COST 1000 AS 'MODULE_PATHNAME', 'gnnrec_progress';
COMMENT ON FUNCTION gnnrec.progress() IS 'The runs that are going on; see the view of the same name';
CREATE VIEW gnnrec.progress AS SELECT * FROM gnnrec.progress();
COMMENT ON VIEW gnnrec.progress IS 'The runs of the current role''s models that are going on, or say so: how far they are';

CREATE FUNCTION gnnrec.relations(OUT model text, OUT relation text, OUT source text, OUT from_type text, OUT from_column name,
    OUT to_type text, OUT to_column name, OUT relation_column name, OUT weight real, OUT event_column name,
    OUT event_weights jsonb, OUT behaviours text, OUT target_event text, OUT value_column name, OUT time_column name,
    OUT half_life interval, OUT since timestamptz) RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 10 COST 1000 AS 'MODULE_PATHNAME', 'gnnrec_relations';
COMMENT ON FUNCTION gnnrec.relations() IS 'The relations of the models that the current role owns; see the view of the same name';
CREATE VIEW gnnrec.relations AS SELECT * FROM gnnrec.relations();
COMMENT ON VIEW gnnrec.relations IS
    'The relations of the models that the current role owns: what their graphs are made of. The first of a model, '
    'interaction, is what is learned and ranked';

CREATE FUNCTION gnnrec.node_types(OUT model text, OUT node_type text, OUT id_type regtype, OUT embedding_table text,
    OUT catalogue text, OUT catalogue_id name) RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 10 COST 1000 AS 'MODULE_PATHNAME', 'gnnrec_node_types';
COMMENT ON FUNCTION gnnrec.node_types() IS
    'The node types of the models that the current role owns; see the view of the same name';
CREATE VIEW gnnrec.node_types AS SELECT * FROM gnnrec.node_types();
COMMENT ON VIEW gnnrec.node_types IS
    'The node types of the models that the current role owns: the type of their ids, the table of their embeddings, and the '
    'catalogue whose rows are nodes though no relation mentions them';

CREATE FUNCTION gnnrec.features(OUT model text, OUT node_type text, OUT catalogue text, OUT column_name name, OUT kind text,
    OUT size integer)
    RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 10 COST 1000 AS 'MODULE_PATHNAME', 'gnnrec_features';
COMMENT ON FUNCTION gnnrec.features() IS 'The features of the models that the current role owns; see the view of the same name';
CREATE VIEW gnnrec.features AS SELECT * FROM gnnrec.features();
COMMENT ON VIEW gnnrec.features IS
    'The features of the models that the current role owns: which columns of which catalogues, and what is made of them. '
    'Columns are explained at table gnnrec.feature';

GRANT SELECT ON gnnrec.models, gnnrec.runs, gnnrec.run_steps, gnnrec.progress, gnnrec.relations, gnnrec.node_types,
    gnnrec.features TO PUBLIC;

-- For a role that is no superuser and takes dumps, which has to be granted SELECT on tables and sequences: it takes its own
-- models.
CREATE FUNCTION gnnrec.owns(item_table regclass) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE STRICT AS 'MODULE_PATHNAME', 'gnnrec_owns';
COMMENT ON FUNCTION gnnrec.owns(regclass) IS
    'Whether the current role owns a table, or is a member of its owner: a model is who owns its item table''s';

ALTER TABLE gnnrec.model ENABLE ROW LEVEL SECURITY;
ALTER TABLE gnnrec.node_type ENABLE ROW LEVEL SECURITY;
ALTER TABLE gnnrec.relation ENABLE ROW LEVEL SECURITY;
ALTER TABLE gnnrec.feature ENABLE ROW LEVEL SECURITY;
ALTER TABLE gnnrec.run ENABLE ROW LEVEL SECURITY;
ALTER TABLE gnnrec.run_step ENABLE ROW LEVEL SECURITY;
ALTER TABLE gnnrec.run_feature ENABLE ROW LEVEL SECURITY;
ALTER TABLE gnnrec.run_feature_column ENABLE ROW LEVEL SECURITY;
CREATE POLICY owned ON gnnrec.node_type FOR SELECT USING (gnnrec.owns(embedding_table));
CREATE POLICY owned ON gnnrec.model FOR SELECT USING
    (EXISTS (SELECT FROM gnnrec.node_type t WHERE t.model_id = model.model_id AND t.type_no = 1));
CREATE POLICY owned ON gnnrec.relation FOR SELECT USING
    (EXISTS (SELECT FROM gnnrec.node_type t WHERE t.model_id = relation.model_id AND t.type_no = 1));
CREATE POLICY owned ON gnnrec.feature FOR SELECT USING
    (EXISTS (SELECT FROM gnnrec.node_type t WHERE t.model_id = feature.model_id AND t.type_no = 1));
CREATE POLICY owned ON gnnrec.run FOR SELECT USING
    (EXISTS (SELECT FROM gnnrec.node_type t WHERE t.model_id = run.model_id AND t.type_no = 1));
CREATE POLICY owned ON gnnrec.run_step FOR SELECT USING
    (EXISTS (SELECT FROM gnnrec.run r WHERE r.run_id = run_step.run_id));
CREATE POLICY owned ON gnnrec.run_feature FOR SELECT USING
    (EXISTS (SELECT FROM gnnrec.run r WHERE r.run_id = run_feature.run_id));
CREATE POLICY owned ON gnnrec.run_feature_column FOR SELECT USING
    (EXISTS (SELECT FROM gnnrec.run r WHERE r.run_id = run_feature_column.run_id));
COMMENT ON POLICY owned ON gnnrec.node_type IS 'The owner of the table';
COMMENT ON POLICY owned ON gnnrec.model IS 'The owner of the model''s item table';
COMMENT ON POLICY owned ON gnnrec.relation IS 'The owner of the model''s item table';
COMMENT ON POLICY owned ON gnnrec.feature IS 'The owner of the model''s item table';
COMMENT ON POLICY owned ON gnnrec.run IS 'The owner of the model''s item table';
COMMENT ON POLICY owned ON gnnrec.run_step IS 'The owner of the model''s item table';
COMMENT ON POLICY owned ON gnnrec.run_feature IS 'The owner of the model''s item table';
COMMENT ON POLICY owned ON gnnrec.run_feature_column IS 'The owner of the model''s item table';

------------------------------------------------------------------------------------------------------------------------
-- Recommending: what the wrappers in a model's schema call
------------------------------------------------------------------------------------------------------------------------

-- The argument model is the model's item table, and not its number: a wrapper that is restored without the rest of its database
-- meets its own table or none, and never another model that has the number there.

-- What the planner is told of these functions: how many rows they return, and what a call costs.
CREATE FUNCTION gnnrec.list_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'gnnrec_list_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION gnnrec.list_support(internal) IS 'Planner support: a list of items, or of nodes of a type';
CREATE FUNCTION gnnrec.audience_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'gnnrec_audience_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION gnnrec.audience_support(internal) IS 'Planner support: a list of users';
CREATE FUNCTION gnnrec.all_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'gnnrec_all_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION gnnrec.all_support(internal) IS 'Planner support: lists of many users';
CREATE FUNCTION gnnrec.explain_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'gnnrec_explain_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION gnnrec.explain_support(internal) IS 'Planner support: the items that carry a score';

-- recommend_core may read what a user has done since the run, from whatever the source is: in the leader only.
CREATE FUNCTION gnnrec.recommend_core(model regclass, user_id anyelement, item_type anycompatible, k integer,
                                      candidates anycompatiblearray, exclude anycompatiblearray,
                                      exclude_seen boolean, fresh boolean,
                                      diversity real DEFAULT 0, popularity_penalty real DEFAULT 0, cold_share real DEFAULT 0)
    RETURNS TABLE (item_id anycompatible, score real, rank integer, source text)
    AS 'MODULE_PATHNAME', 'gnnrec_recommend_core' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10 COST 10000
    SUPPORT gnnrec.list_support;
COMMENT ON FUNCTION gnnrec.recommend_core(regclass, anyelement, anycompatible, integer, anycompatiblearray, anycompatiblearray,
                                          boolean, boolean, real, real, real) IS
    'What recommend() in a model''s schema calls. item_type carries the type of item ids and no value';

CREATE FUNCTION gnnrec.recommend_for_core(model regclass, items anyarray, weights real[], k integer,
                                          candidates anyarray, exclude anyarray,
                                          diversity real DEFAULT 0, popularity_penalty real DEFAULT 0, cold_share real DEFAULT 0)
    RETURNS TABLE (item_id anyelement, score real, rank integer, source text)
    AS 'MODULE_PATHNAME', 'gnnrec_recommend_for_core' LANGUAGE C STABLE PARALLEL SAFE ROWS 10 COST 10000
    SUPPORT gnnrec.list_support;
COMMENT ON FUNCTION gnnrec.recommend_for_core(regclass, anyarray, real[], integer, anyarray, anyarray, real, real, real) IS
    'What recommend_for() in a model''s schema calls';

-- It may read what a user has done since the run, as recommend_core does.
CREATE FUNCTION gnnrec.recommend_type_core(model regclass, node_type text, user_id anyelement, id_type anycompatible, k integer,
                                           candidates anycompatiblearray, exclude anycompatiblearray, fresh boolean)
    RETURNS TABLE (node_id anycompatible, score real, rank integer, source text)
    AS 'MODULE_PATHNAME', 'gnnrec_recommend_type_core' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10 COST 10000
    SUPPORT gnnrec.list_support;
COMMENT ON FUNCTION gnnrec.recommend_type_core(regclass, text, anyelement, anycompatible, integer, anycompatiblearray,
                                               anycompatiblearray, boolean) IS
    'What the recommend functions of further node types in a model''s schema call. id_type carries the type of their ids and '
    'no value';

-- It may read the interactions of an item that the run does not know, as recommend_core does those of a user.
CREATE FUNCTION gnnrec.recommend_users_core(model regclass, item_id anyelement, user_type anycompatible, k integer,
                                            exclude_existing boolean)
    RETURNS TABLE (user_id anycompatible, score real, rank integer)
    AS 'MODULE_PATHNAME', 'gnnrec_recommend_users_core' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10 COST 10000
    SUPPORT gnnrec.audience_support;
COMMENT ON FUNCTION gnnrec.recommend_users_core(regclass, anyelement, anycompatible, integer, boolean) IS
    'What recommend_users() in a model''s schema calls. user_type carries the type of user ids and no value';

CREATE FUNCTION gnnrec.recommend_all_core(model regclass, item_type anycompatible, k integer, users anyarray)
    RETURNS TABLE (user_id anyelement, item_id anycompatible, score real, rank integer)
    AS 'MODULE_PATHNAME', 'gnnrec_recommend_all_core' LANGUAGE C STABLE PARALLEL SAFE ROWS 100000 COST 10000000
    SUPPORT gnnrec.all_support;
COMMENT ON FUNCTION gnnrec.recommend_all_core(regclass, anycompatible, integer, anyarray) IS
    'What recommend_all() in a model''s schema calls. item_type carries the type of item ids and no value';

CREATE FUNCTION gnnrec.similar_core(model regclass, node_type text, id anyelement, k integer)
    RETURNS TABLE (similar_id anyelement, score real, rank integer)
    AS 'MODULE_PATHNAME', 'gnnrec_similar_core' LANGUAGE C STABLE PARALLEL SAFE ROWS 10 COST 10000
    SUPPORT gnnrec.list_support;
COMMENT ON FUNCTION gnnrec.similar_core(regclass, text, anyelement, integer) IS
    'What similar_items(), similar_users() and those of further node types in a model''s schema call';

CREATE FUNCTION gnnrec.similarity_core(model regclass, node_type text, a anyelement, b anyelement) RETURNS real
    AS 'MODULE_PATHNAME', 'gnnrec_similarity_core' LANGUAGE C STABLE PARALLEL SAFE COST 100;
COMMENT ON FUNCTION gnnrec.similarity_core(regclass, text, anyelement, anyelement) IS
    'What similarity() in a model''s schema calls';

CREATE FUNCTION gnnrec.score_core(model regclass, user_id anyelement, item_id anycompatible) RETURNS real
    AS 'MODULE_PATHNAME', 'gnnrec_score_core' LANGUAGE C STABLE PARALLEL SAFE COST 100;
COMMENT ON FUNCTION gnnrec.score_core(regclass, anyelement, anycompatible) IS
    'What score() in a model''s schema calls';

-- It may read the interactions of a user whom the run does not know, as recommend_core does.
CREATE FUNCTION gnnrec.explain_core(model regclass, user_id anyelement, item_id anycompatible, k integer)
    RETURNS TABLE (because_item_id anycompatible, contribution real)
    AS 'MODULE_PATHNAME', 'gnnrec_explain_core' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10 COST 1000
    SUPPORT gnnrec.explain_support;
COMMENT ON FUNCTION gnnrec.explain_core(regclass, anyelement, anycompatible, integer) IS
    'What explain() in a model''s schema calls';

CREATE FUNCTION gnnrec.recommend(model text, user_id text, k integer DEFAULT 10)
    RETURNS TABLE (item_id text, score real, rank integer, source text)
    AS 'MODULE_PATHNAME', 'gnnrec_recommend' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10 COST 10000
    SUPPORT gnnrec.list_support;
COMMENT ON FUNCTION gnnrec.recommend(text, text, integer) IS
    'The k items with the highest score for a user of a model, for tools that do not know the id types: ids are text';

CREATE FUNCTION gnnrec.similar_items(model text, item_id text, k integer DEFAULT 10)
    RETURNS TABLE (similar_id text, score real, rank integer)
    AS 'MODULE_PATHNAME', 'gnnrec_similar_items' LANGUAGE C STABLE PARALLEL SAFE ROWS 10 COST 10000
    SUPPORT gnnrec.list_support;
COMMENT ON FUNCTION gnnrec.similar_items(text, text, integer) IS
    'The k items of a model most similar to an item, for tools that do not know the id types: ids are text';

------------------------------------------------------------------------------------------------------------------------
-- Measuring
------------------------------------------------------------------------------------------------------------------------

-- Both read relations of the caller's choice: in the leader only.
CREATE FUNCTION gnnrec.evaluate(model text, test regclass, k integer[] DEFAULT '{10,20}', user_vectors text DEFAULT 'trained')
    RETURNS TABLE (metric text, k integer, value float8, popular float8, lift float8, users bigint)
    AS 'MODULE_PATHNAME', 'gnnrec_evaluate' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 14 COST 1000000;
COMMENT ON FUNCTION gnnrec.evaluate(text, regclass, integer[], text) IS
    'How good the model''s lists are for test interactions (the model''s user and item columns), beside those of the most '
    'popular items: recall, precision, ndcg, hit_rate, mrr, map and coverage at each k, averaged over the users with '
    'something to find. All items are ranked but those seen in training, which are no question either; an item the run does '
    'not know cannot be found; a user it does not know is shown the popular items. user_vectors: trained, or folded in from '
    'what the user has seen';

CREATE FUNCTION gnnrec.evaluate_table(recs regclass, truth regclass, user_column name DEFAULT 'user_id',
    item_column name DEFAULT 'item_id', rank_column name DEFAULT 'rank', k integer[] DEFAULT '{10,20}')
    RETURNS TABLE (metric text, k integer, value float8, users bigint)
    AS 'MODULE_PATHNAME', 'gnnrec_evaluate_table' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 12 COST 100000;
COMMENT ON FUNCTION gnnrec.evaluate_table(regclass, regclass, name, name, name, integer[]) IS
    'How good anyone''s recommendations are: the metrics of evaluate(), averaged over the users of truth, of whom one without '
    'recommendations counts 0. The rank is the place in the list, from 1, one item each; a repeated item and an empty place '
    'are misses. Coverage is left out: these tables do not tell the catalogue';
