/*
 * contrast.c: two views of the same nodes, and InfoNCE between them (van den Oord, Li and Vinyals, 2018).
 *
 * A view is a disturbed forward pass: with noise on what went along edges (SimGCL: Yu et al., SIGIR 2022; core/ops_noise.c), or
 * without a share of the edges (SGL: Wu et al., SIGIR 2021). With unit vectors h and h' of n drawn nodes in the first and the
 * second view, a temperature t, and S = H H'^T / t:
 *
 *     part = weight / 2n sum_i [ log sum_j exp(S_ij) + log sum_j exp(S_ji) - 2 S_ii ],      for users and for items
 *
 * As in XSimGCL (Yu et al., TKDE 2023) the pass that the loss sees is itself the first view. The second runs before it, and only
 * the drawn rows of its result are kept: no gradient flows into it, so there is one backward pass, and one forward pass more than
 * without contrast. In the mean that loses nothing: the part is symmetric in the views and both are drawn alike, so the gradient
 * through the one has the expectation of that through the other. Twice the first is an unbiased estimate of their sum:
 *
 *     P = softmax of S by rows + softmax of S by columns - 2 I;      dH = weight / (n t) P H'
 *
 * S is never there as a whole: slices of columns give the columns' sums, then slices of rows the gradient.
 *
 * Pass -step of the plan is the second view of step `step`: what draws by the pass (noise, edges, dropout) so draws anew.
 */
#include "train/contrast.h"

#include "core/blas.h"
#include "core/kernel.h"
#include "train/unit.h"

#include <math.h>

#define SLICE 64                /* rows or columns of S at once */

real
gnn_contrast_noise(const GnnConfig *config)
{
    return config->contrast == GNN_CONTRAST_NOISE ? (real) config->contrast_noise : 0;
}

/* ---- memory and nodes ---- */

static bool
drops_edges(const GnnContrast *c)
{
    return c->config->contrast == GNN_CONTRAST_EDGES;
}

static void
allocate_side(GnnContrast *c, GnnContrastSide *side, GnnArena *arena, const GnnNodes *nodes)
{
    side->nodes = *nodes;
    side->room = nodes->n < c->config->contrast_nodes ? nodes->n : c->config->contrast_nodes;
    side->order = gnn_alloc(arena, nodes->n, sizeof(int32_t));
    side->other = gnn_alloc(arena, side->room * c->z->dim, sizeof(real));
}

void
gnn_contrast_allocate(GnnContrast *c, GnnArena *arena, const GnnConfig *config, const GnnGraph *graph,
                      const int64_t n_edges[GNN_MAX_RELATIONS], GnnPlan *plan, const GnnMat *z)
{
    const GnnRelation *learned = &graph->relations[0];
    int64_t     room;

    *c = (GnnContrast) {.config = config, .z = z};
    if (config->contrast == GNN_CONTRAST_NONE || !plan->along_edges)
        return;
    c->plan = plan;
    c->whole = plan->adjacency;
    c->typed = plan->typed;
    if (drops_edges(c))
    {
        gnn_adjacency_allocate(&c->view, arena, graph, n_edges);
        c->visited = plan->visited;
        if (c->visited != NULL)
            gnn_directed_allocate(&c->visited_view, arena, graph->n_nodes, graph->n_nodes * config->importance_neighbours);
        if (c->typed != NULL)
            gnn_typed_allocate_view(&c->typed_view, arena, c->typed);
    }
    allocate_side(c, &c->sides[0], arena, &graph->types[learned->from]);
    allocate_side(c, &c->sides[1], arena, &graph->types[learned->to]);
    room = c->sides[0].room > c->sides[1].room ? c->sides[0].room : c->sides[1].room;
    c->unit = gnn_alloc(arena, room * z->dim, sizeof(real));
    c->unit_grad = gnn_alloc(arena, room * z->dim, sizeof(real));
    c->norm = gnn_alloc(arena, room, sizeof(real));
    c->column = gnn_alloc(arena, room, sizeof(real));
    c->score = gnn_alloc(arena, plan->team->threads * (SLICE + 1) * room, sizeof(real));
    c->loss = gnn_alloc(arena, gnn_blocks(room, SLICE), sizeof(double));
}

void
gnn_contrast_open(GnnContrast *c)
{
    if (c->plan == NULL)
        return;
    for (GnnContrastSide *s = c->sides; s < c->sides + 2; s++)
    {
        s->n_connected = 0;
        for (int32_t v = 0; v < s->nodes.n; v++)
            if (c->whole->degree[s->nodes.first + v] > 0)
                s->order[s->n_connected++] = v;
        s->n = s->room < s->n_connected ? s->room : s->n_connected;
    }
}

/* ---- the views ---- */

/* the first n of a shuffle */
static void
draw_nodes(GnnContrastSide *s, GnnRng rng)
{
    for (int64_t i = 0; i < s->n; i++)
    {
        int64_t     at = i + (int64_t) gnn_rng_below(&rng, s->n_connected - i);
        int32_t     node = s->order[at];

        s->order[at] = s->order[i];
        s->order[i] = node;
    }
}

static void
draw_view(GnnContrast *c, int64_t pass)
{
    GnnRng      rng = gnn_rng(c->config->seed, GNN_STREAM_EDGES, (uint64_t) pass);

    c->plan->pass = pass;
    if (!drops_edges(c))
        return;
    gnn_adjacency_drop(&c->view, c->plan->team, c->whole, c->config->edge_dropout, rng);
    c->plan->adjacency = &c->view;
    if (c->visited != NULL)
    {
        gnn_directed_drop(&c->visited_view, c->visited, c->config->edge_dropout,
                          gnn_rng(c->config->seed, GNN_STREAM_VISITS, (uint64_t) pass));
        c->plan->visited = &c->visited_view;
    }
    if (c->typed == NULL)
        return;
    gnn_typed_drop(&c->typed_view, c->plan->team, c->typed, c->config->edge_dropout, rng);
    c->plan->typed = &c->typed_view;
}

static const real *
drawn_row(const GnnContrast *c, const GnnContrastSide *s, int64_t i)
{
    return c->z->val + (s->nodes.first + s->order[i]) * c->z->dim;
}

void
gnn_contrast_look(GnnContrast *c, int64_t step)
{
    if (c->plan == NULL)
        return;
    draw_view(c, -step);
    gnn_plan_forward(c->plan);
    for (int i = 0; i < 2; i++)
    {
        GnnContrastSide *s = &c->sides[i];

        draw_nodes(s, gnn_rng(c->config->seed, GNN_STREAM_CONTRAST, (uint64_t) (2 * step + i)));
        for (int64_t k = 0; k < s->n; k++)
            (void) gnn_unit(s->other + k * c->z->dim, drawn_row(c, s, k), c->z->dim);
    }
    draw_view(c, step);
}

/* ---- InfoNCE of one side ---- */

static int64_t
slice_end(const GnnContrast *c, int64_t slice)
{
    return (slice + 1) * SLICE < c->side->n ? (slice + 1) * SLICE : c->side->n;
}

static real
inverse_temperature(const GnnContrast *c)
{
    return (real) (1 / c->config->contrast_temperature);
}

static void
unit_slice(void *arg, int64_t slice, int thread)
{
    GnnContrast *c = arg;

    for (int64_t i = slice * SLICE; i < slice_end(c, slice); i++)
        c->norm[i] = gnn_unit(c->unit + i * c->z->dim, drawn_row(c, c->side, i), c->z->dim);
}

/* a slice of S, and a row more */
static real *
scratch(const GnnContrast *c, int thread)
{
    return c->score + thread * (SLICE + 1) * c->side->n;
}

/* logarithms of the sums of columns of exp(S) */
static void
sum_columns(void *arg, int64_t slice, int thread)
{
    GnnContrast *c = arg;
    int64_t     n = c->side->n;
    int64_t     dim = c->z->dim;
    int64_t     first = slice * SLICE;
    real       *score = scratch(c, thread);

    gnn_gemm(score, n, slice_end(c, slice) - first, n, dim, inverse_temperature(c), gnn_plain(c->side->other + first * dim, dim),
             gnn_transposed(c->unit, dim), 0);
    for (int64_t j = first; j < slice_end(c, slice); j++)
    {
        real        top;
        real        sum = gnn_exp_row(score + (j - first) * n, n, &top);

        c->column[j] = (real) (top + log(sum));
    }
}

/* row i of S becomes that of P, by way of `spare`; returns what is in the brackets of the sum */
static double
contrast_row(const GnnContrast *c, real *score, real *spare, int64_t i)
{
    int64_t     n = c->side->n;
    double      own = score[i];
    real        top;
    real        column_top;
    real        sum;

    memcpy(spare, score, n * sizeof(real));
    gnn_add_scaled(spare, -1, c->column, n);
    (void) gnn_exp_row(spare, n, &column_top);
    sum = gnn_exp_row(score, n, &top);
    gnn_scale(score, 1 / sum, n);
    gnn_add_scaled(score, (real) exp(column_top), spare, n);
    score[i] -= 2;
    return top + log(sum) + c->column[i] - 2 * own;
}

/* adds dz of a slice's nodes */
static void
add_gradient(GnnContrast *c, int64_t first, int64_t end)
{
    int64_t     dim = c->z->dim;

    for (int64_t i = first; i < end; i++)
    {
        real       *dh = c->unit_grad + i * dim;

        gnn_through_unit(dh, c->unit + i * dim, c->norm[i], dim);
        gnn_add_scaled(c->z->grad + (c->side->nodes.first + c->side->order[i]) * dim, 1, dh, dim);
    }
}

static void
run_rows(void *arg, int64_t slice, int thread)
{
    GnnContrast *c = arg;
    int64_t     n = c->side->n;
    int64_t     dim = c->z->dim;
    int64_t     first = slice * SLICE;
    int64_t     rows = slice_end(c, slice) - first;
    real       *score = scratch(c, thread);
    double      share = c->weight / (double) n;
    double      loss = 0;

    gnn_gemm(score, n, rows, n, dim, inverse_temperature(c), gnn_plain(c->unit + first * dim, dim),
             gnn_transposed(c->side->other, dim), 0);
    for (int64_t i = 0; i < rows; i++)
        loss += contrast_row(c, score + i * n, score + SLICE * n, first + i);
    gnn_gemm(c->unit_grad + first * dim, dim, rows, dim, n, (real) share * inverse_temperature(c), gnn_plain(score, n),
             gnn_plain(c->side->other, dim), 0);
    add_gradient(c, first, first + rows);
    c->loss[slice] = share / 2 * loss;
}

static double
run_side(GnnContrast *c)
{
    GnnTeam    *team = c->plan->team;
    int64_t     slices = gnn_blocks(c->side->n, SLICE);
    double      loss = 0;

    gnn_team_run(team, slices, unit_slice, c);
    gnn_team_run(team, slices, sum_columns, c);
    gnn_team_run(team, slices, run_rows, c);
    for (int64_t s = 0; s < slices; s++)
        loss += c->loss[s];
    return loss;
}

double
gnn_contrast_run(GnnContrast *c)
{
    double      loss = 0;

    if (c->plan == NULL)
        return 0;
    for (c->side = c->sides; c->side < c->sides + 2; c->side++)
        loss += run_side(c);
    return loss;
}
