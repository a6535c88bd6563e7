/*
 * test_planted.c: graphs in which something is planted that only the right model finds, each beside one that must not find it.
 *
 * All are of one shop. Users take items of their brand. The last of them have taken nothing yet: what is known of them is what
 * relates them to brands, and asked is whether their brand's items are what they get. Chance finds a sixth.
 */
#include "test.h"

#include "core/topk.h"
#include "model/model.h"
#include "train/fit.h"
#include "train/params.h"

#include <string.h>

#define BRANDS 6
#define ITEMS 60
#define TAKEN 4                 /* interactions of a user ... */
#define SEEDED 400              /* ... who has any */
#define UNSEEN 100              /* who have none */
#define USERS (SEEDED + UNSEEN)
#define GROUPS 30
#define SEEDS 3

/* ---- the shop ---- */

/* the edges of a relation that is being written */
typedef struct Edges
{
    int32_t    *from;
    int32_t    *to;
    float      *weight;
    int64_t     n;
} Edges;

static Edges
open_edges(int64_t room)
{
    return (Edges) {.from = gnn_alloc(arena, room, sizeof(int32_t)), .to = gnn_alloc(arena, room, sizeof(int32_t)),
                    .weight = gnn_alloc(arena, room, sizeof(float))};
}

static void
put(Edges *e, int32_t from, int32_t to, double weight)
{
    e->from[e->n] = from;
    e->to[e->n] = to;
    e->weight[e->n++] = (float) weight;
}

static void
relate(GnnGraph *g, const char *name, int from, int to, const Edges *e)
{
    GnnCsr      csr;

    gnn_csr_build(&csr, arena, &(GnnEdges) {.n = e->n, .from = e->from, .to = e->to, .weight = e->weight}, g->types[from].n,
                  g->types[to].n);
    gnn_graph_add_relation(g, name, from, to, &csr);
}

enum
{
    USER, ITEM, BRAND, GROUP
};

/* of a user, and of an item */
static int32_t
brand_of(int32_t node)
{
    return node % BRANDS;
}

static void
open_shop(GnnGraph *g, GnnRng *rng)
{
    Edges       taken = open_edges(TAKEN * SEEDED);
    Edges       made = open_edges(ITEMS);

    *g = (GnnGraph) {0};
    gnn_graph_add_nodes(g, "user", USERS);
    gnn_graph_add_nodes(g, "item", ITEMS);
    gnn_graph_add_nodes(g, "brand", BRANDS);
    for (int32_t i = 0; i < TAKEN * SEEDED; i++)
        put(&taken, i / TAKEN, (int32_t) gnn_rng_below(rng, ITEMS / BRANDS) * BRANDS + brand_of(i / TAKEN), 1);
    for (int32_t i = 0; i < ITEMS; i++)
        put(&made, i, brand_of(i), 1);
    relate(g, "interaction", USER, ITEM, &taken);
    relate(g, "made by", ITEM, BRAND, &made);
}

/* ---- models ---- */

/* a model under test; reg_weight makes small what nothing is learned of */
typedef struct Subjected
{
    const char *model;
    GnnEdgeAttention attention;
    double      reg_weight;
} Subjected;

static GnnConfig
config_of(const Subjected *s, int64_t seed)
{
    GnnConfig   c;

    gnn_config_defaults(&c);
    c.model = model_number(s->model);
    c.edge_attention = s->attention;
    c.reg_weight = s->reg_weight;
    c.dim = 16;
    c.steps = 80;
    c.temperature = 0.3;
    c.negatives = 200;
    c.seed = seed;
    return c;
}

/* of the five best items of users who have none, the share that is of their brand */
static double
share_found(const GnnGraph *g, const GnnConfig *c)
{
    float      *users = gnn_alloc(arena, USERS * c->dim, sizeof(float));
    GnnRows     items = {.rows = gnn_alloc(arena, ITEMS * c->dim, sizeof(float)), .n = ITEMS, .dim = c->dim};
    GnnFit      fit = {.embedding = {users, (float *) items.rows}};
    int         found = 0;

    CHECK(gnn_fit(&fit, arena, g, c, 1, NULL) == NULL);
    for (int32_t u = SEEDED; u < USERS; u++)
    {
        GnnHit      hits[5];

        CHECK(gnn_topk(hits, 5, &items, users + u * c->dim, NULL, 0) == 5);
        for (int r = 0; r < 5; r++)
            found += brand_of(hits[r].row) == brand_of(u);
    }
    return found / (5.0 * UNSEEN);
}

static void
check_found(const GnnGraph *g, const GnnConfig *c, double least, double most, const char *what)
{
    double      found = share_found(g, c);

    CHECK_SAY(found >= least && found <= most, "%s with edge_attention %d, %d layers, seed %d, %s: found %g",
              gnn_models[c->model]->name, c->edge_attention, c->layers, (int) c->seed, what, found);
}

/* ---- relations of opposite meaning ---- */

/* a user likes a brand, hers, and avoids another: whoever takes an edge for an edge sends her to both alike */
static int32_t
avoided_by(int32_t user)
{
    return (user + 1 + user / BRANDS % (BRANDS - 1)) % BRANDS;
}

static void
likes_and_avoids(GnnGraph *g, int64_t seed)
{
    GnnRng      rng = gnn_rng(seed, GNN_STREAM_INIT, 0);
    Edges       likes = open_edges(USERS);
    Edges       avoids = open_edges(USERS);

    open_shop(g, &rng);
    for (int32_t u = 0; u < USERS; u++)
    {
        put(&likes, u, brand_of(u), 1);
        put(&avoids, u, avoided_by(u), 1);
    }
    relate(g, "likes", USER, BRAND, &likes);
    relate(g, "avoids", USER, BRAND, &avoids);
}

static void
opposite_relations(void)
{
    for (int64_t seed = 1; seed <= SEEDS; seed++)
    {
        GnnGraph    g;
        GnnConfig   c = config_of(&(Subjected) {"rgcn"}, seed);

        likes_and_avoids(&g, seed);
        check_found(&g, &c, 0.9, 1, "likes and avoids");
        c.model = model_number("lightgcn");
        check_found(&g, &c, 0, 0.75, "likes and avoids");
        c.model = model_number("mf");
        check_found(&g, &c, 0, 0.4, "likes and avoids");
    }
}

/* ---- weights of edges ---- */

/* in one relation, the edge to a user's brand weighs sixteen times that to another one, or as much */
static void
heavy_and_light(GnnGraph *g, int64_t seed, bool weighted)
{
    GnnRng      rng = gnn_rng(seed, GNN_STREAM_INIT, 0);
    Edges       likes = open_edges(2 * USERS);

    open_shop(g, &rng);
    for (int32_t u = 0; u < USERS; u++)
    {
        put(&likes, u, brand_of(u), weighted ? 16 : 1);
        put(&likes, u, avoided_by(u), 1);
    }
    relate(g, "likes", USER, BRAND, &likes);
}

/* what an edge weighs is all that tells both brands apart, to a model that looks */
static void
weights_of_edges(void)
{
    static const Subjected models[] = {{"gat"}, {"gat", GNN_EDGE_ATTENTION_RELATION}, {"kgat"}, {"rgcn"},
                                       {"gat", GNN_EDGE_ATTENTION_NONE}};

    for (int64_t seed = 1; seed <= SEEDS; seed++)
        for (int m = 0; m < 5; m++)
            for (int weighted = 0; weighted < 2; weighted++)
            {
                GnnGraph    g;
                GnnConfig   c = config_of(&models[m], seed);
                bool        finds = weighted && c.edge_attention != GNN_EDGE_ATTENTION_NONE;

                heavy_and_light(&g, seed, weighted);
                check_found(&g, &c, finds ? 0.9 : 0, finds ? 1 : 0.75, weighted ? "weighted" : "evenly");
            }
}

/* ---- a relation among noise ---- */

#define SHOWN 5

/* a user likes one brand, hers, and is shown five, any: in two relations, or in one that does not tell which is which */
static void
likes_among_noise(GnnGraph *g, int64_t seed, bool told)
{
    GnnRng      rng = gnn_rng(seed, GNN_STREAM_INIT, 0);
    Edges       likes = open_edges((1 + SHOWN) * USERS);
    Edges       shown = open_edges(SHOWN * USERS);

    open_shop(g, &rng);
    for (int32_t u = 0; u < USERS; u++)
    {
        put(&likes, u, brand_of(u), 1);
        for (int k = 0; k < SHOWN; k++)
            put(told ? &shown : &likes, u, (int32_t) gnn_rng_below(&rng, BRANDS), 1);
    }
    relate(g, "likes", USER, BRAND, &likes);
    relate(g, "is shown", USER, BRAND, &shown);
}

static void
relation_among_noise(void)
{
    static const Subjected models[] = {{"rgcn"}, {"kgat"}, {"gat", GNN_EDGE_ATTENTION_RELATION}, {"gat"}, {"lightgcn"}};

    for (int64_t seed = 1; seed <= SEEDS; seed++)
        for (int m = 0; m < 5; m++)
            for (int told = 0; told < 2; told++)
            {
                GnnGraph    g;
                GnnConfig   c = config_of(&models[m], seed);
                bool        finds = told && gnn_model_is_typed(&c);

                c.reg_weight = 0.002;
                c.temperature = 2;      /* a loss that always asks for more: what a user has learned by heart is not enough */
                c.steps = 120;
                likes_among_noise(&g, seed, told);
                check_found(&g, &c, finds ? 0.6 : 0, finds ? 1 : 0.5, told ? "in two relations" : "in one relation");
            }
}

/* ---- two hops ---- */

/* who has taken nothing is a member of a group, which wears a brand: nothing else has to do with groups */
static void
members_of_groups(GnnGraph *g, int64_t seed)
{
    GnnRng      rng = gnn_rng(seed, GNN_STREAM_INIT, 0);
    Edges       wears = open_edges(GROUPS);
    Edges       member = open_edges(UNSEEN);

    open_shop(g, &rng);
    gnn_graph_add_nodes(g, "group", GROUPS);
    for (int32_t i = 0; i < GROUPS; i++)
        put(&wears, i, brand_of(i), 1);
    for (int32_t u = SEEDED; u < USERS; u++)
        put(&member, u, (int32_t) gnn_rng_below(&rng, GROUPS / BRANDS) * BRANDS + brand_of(u), 1);
    relate(g, "wears", GROUP, BRAND, &wears);
    relate(g, "member of", USER, GROUP, &member);
}

/* a layer goes one hop, to a group, whose own vector is never learned: no item is near it, nor anyone who took one */
static void
two_hops(void)
{
    static const Subjected models[] = {{"lightgcn", .reg_weight = 0.02}, {"graphsage", .reg_weight = 0.3},
                                       {"gat", .reg_weight = 0.3}, {"gat", GNN_EDGE_ATTENTION_RELATION, 0.3}, {"mf"}};

    for (int64_t seed = 1; seed <= SEEDS; seed++)
        for (int m = 0; m < 5; m++)
            for (int layers = 1; layers <= 2; layers++)
            {
                GnnGraph    g;
                GnnConfig   c = config_of(&models[m], seed);
                bool        finds = layers == 2 && gnn_models[c.model] != &gnn_mf;

                c.layers = layers;
                members_of_groups(&g, seed);
                check_found(&g, &c, finds ? 0.8 : 0, finds ? 1 : 0.35, "two hops");
            }
}

static const Test tests[] = {
    {"relations of opposite meaning", opposite_relations},
    {"weights of edges", LONG_TEST(weights_of_edges)},
    {"a relation among noise", LONG_TEST(relation_among_noise)},
    {"a sequence of two hops", LONG_TEST(two_hops)},
    {0},
};

const Subject planted_subject = {"planted", tests};
