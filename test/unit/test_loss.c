/*
 * test_loss.c: losses by their definitions, on graphs where what is drawn is known.
 */
#include "test.h"

#include "train/loss.h"
#include "train/params.h"

#include <math.h>

#define USERS 9
#define DIM 3

/* users of even number have item 0, with weight 1 + number; the last has item 1, heavily; nobody has item 2 */
static void
make_task(GnnTask *task, GnnConfig *config, GnnTeam *team)
{
    static const int32_t from[] = {0, 2, 4, 6, 8};
    static const int32_t to[] = {0, 0, 0, 0, 1};
    static const float weight[] = {1, 3, 5, 7, 10000};

    gnn_config_defaults(config);
    config->dim = DIM;
    config->user_weight = 0.5;
    gnn_team_open(team, 1, NULL, NULL);
    *task = (GnnTask) {.config = config, .team = team, .negatives = 4, .users = {"user", USERS, 0},
                       .items = {"item", 3, USERS}, .n_edges = 5, .n_nodes = USERS + 3};
    gnn_csr_build(&task->by_user, arena, &(GnnEdges) {.n = 5, .from = from, .to = to, .weight = weight}, USERS, 3);
    gnn_csr_transpose(&task->by_item, arena, &task->by_user);
}

static double
dot(const GnnMat *z, int a, int b)
{
    double      sum = 0;

    for (int c = 0; c < DIM; c++)
        sum += (double) z->val[a * DIM + c] * z->val[b * DIM + c];
    return sum;
}

static double
cosine(const GnnMat *z, int a, int b)
{
    return dot(z, a, b) / sqrt(dot(z, a, a) * dot(z, b, b));
}

static double
run(const GnnLoss *loss, const GnnTask *task, GnnMat *z)
{
    GnnRng      rng = gnn_rng(1, GNN_STREAM_INIT, 0);
    void       *state = loss->allocate(arena, task);

    *z = (GnnMat) {.n = USERS + 3, .dim = DIM};
    z->val = gnn_alloc(arena, z->n * DIM, sizeof(real));
    z->grad = gnn_alloc(arena, z->n * DIM, sizeof(real));
    for (int64_t i = 0; i < z->n * DIM; i++)
    {
        z->val[i] = (real) gnn_rng_normal(&rng);
        z->grad[i] = 99;        /* what a loss finds there it must not keep */
    }
    loss->open(state, task);
    return loss->run(state, z, 1);
}

/* sum over users of D^g, g = 1/2 */
static double
total(void)
{
    return 1 + sqrt(3) + sqrt(5) + sqrt(7) + 100;
}

/* negatives by degree^2 are item 1, whose own user so has none but itself */
static void
bpr(void)
{
    GnnTask     task;
    GnnConfig   config;
    GnnTeam     team;
    GnnMat      z;
    double      should = 100 / total() * log(2);
    double      is;

    make_task(&task, &config, &team);
    config.negative_alpha = 2;
    is = run(&gnn_bpr, &task, &z);
    for (int u = 0; u < 8; u += 2)
        should += sqrt(1 + u) / total() * log1p(exp(dot(&z, u, USERS + 1) - dot(&z, u, USERS)));
    CHECK_NEAR(is, should, 1e-6);
}

/* as above: every negative is item 1 */
static void
bce(void)
{
    GnnTask     task;
    GnnConfig   config;
    GnnTeam     team;
    GnnMat      z;
    double      should;
    double      is;

    make_task(&task, &config, &team);
    config.negative_alpha = 2;
    is = run(&gnn_bce, &task, &z);
    should = 100 / total() * (log1p(exp(-dot(&z, 8, USERS + 1))) + log1p(exp(dot(&z, 8, USERS + 1))));
    for (int u = 0; u < 8; u += 2)
        should += sqrt(1 + u) / total() * (log1p(exp(-dot(&z, u, USERS))) + log1p(exp(dot(&z, u, USERS + 1))));
    CHECK_NEAR(is, should, 1e-6);
}

/* the weights are the targets: 1, 3, 5, 7, 10000 over their mean */
static void
mse(void)
{
    GnnTask     task;
    GnnConfig   config;
    GnnTeam     team;
    GnnMat      z;
    double      should = 0;
    double      is;

    make_task(&task, &config, &team);
    config.negative_alpha = 2;
    is = run(&gnn_mse, &task, &z);
    for (int u = 0; u <= 8; u += 2)
    {
        double      weight = u < 8 ? 1 + u : 10000;
        double      off = dot(&z, u, u < 8 ? USERS : USERS + 1) - weight / (10016 / 5.0);

        should += sqrt(weight) / total() * (off * off + pow(dot(&z, u, USERS + 1), 2)) / 2;
    }
    CHECK_NEAR(is, should, 1e-5);
}

static void
softmax(void)
{
    GnnTask     task;
    GnnConfig   config;
    GnnTeam     team;
    GnnMat      z;
    double      should = 0;
    double      is;

    make_task(&task, &config, &team);
    config.negative_alpha = 2;
    config.temperature = 0.5;
    is = run(&gnn_softmax, &task, &z);
    for (int u = 0; u < 8; u += 2)
        should += sqrt(1 + u) / total() * (cosine(&z, u, USERS + 1) - cosine(&z, u, USERS)) / 0.5;
    CHECK_NEAR(is, should, 1e-5);
}

/* nodes that no loss looks at: no gradient, whatever was there */
static void
others_have_no_gradient(void)
{
    for (int l = 0; l < gnn_n_losses; l++)
    {
        GnnTask     task;
        GnnConfig   config;
        GnnTeam     team;
        GnnMat      z;

        make_task(&task, &config, &team);
        run(gnn_losses[l], &task, &z);
        for (int c = 0; c < DIM; c++)
        {
            CHECK(z.grad[1 * DIM + c] == 0);                /* a user without edges */
            CHECK(z.grad[(USERS + 2) * DIM + c] == 0);      /* an item without edges */
            CHECK(z.grad[0 * DIM + c] != 0 && z.grad[0 * DIM + c] != 99);
        }
    }
}

/* on average over many draws, two users of five give the loss and the gradient of all */
static void
sampled_users(void)
{
    const int   draws = 3000;

    for (int l = 0; l < gnn_n_losses; l++)
    {
        GnnTask     task;
        GnnConfig   config;
        GnnTeam     team;
        GnnMat      z;
        void       *state;
        double      mean[(USERS + 3) * DIM] = {0};
        double      loss = 0;
        double      all;
        int         without = 0;

        make_task(&task, &config, &team);
        config.negative_alpha = 2;
        config.temperature = 0.5;
        config.user_weight = 0.1;
        config.users_per_step = 2;
        run(gnn_losses[l], &task, &z);
        state = gnn_losses[l]->allocate(arena, &task);
        gnn_losses[l]->open(state, &task);
        for (int pass = 0; pass < draws; pass++)
        {
            loss += gnn_losses[l]->run(state, &z, pass) / draws;
            without += z.grad[0] == 0;
            for (int i = 0; i < (USERS + 3) * DIM; i++)
                mean[i] += z.grad[i] / draws;
        }
        CHECK_NEAR(without / (double) draws, 0.6, 0.03);
        config.users_per_step = 0;
        all = run(gnn_losses[l], &task, &z);
        CHECK_SAY(fabs(loss - all) < 0.05 * fabs(all), "%s: %g instead of %g", gnn_losses[l]->name, loss, all);
        for (int i = 0; i < (USERS + 3) * DIM; i++)
            CHECK_SAY(fabs(mean[i] - z.grad[i]) < 0.05, "%s: gradient %d is %g instead of %g", gnn_losses[l]->name, i, mean[i],
                      z.grad[i]);
    }
}

static void
negatives(void)
{
    static const double alphas[] = {0, 0.5, 1};

    for (int i = 0; i < 3; i++)
    {
        GnnTask     task;
        GnnConfig   config;
        GnnTeam     team;
        double      weight[3];

        make_task(&task, &config, &team);
        config.negative_alpha = alphas[i];
        gnn_negative_weights(weight, &task);
        CHECK_NEAR(weight[0], pow(16, alphas[i]), 1e-9);
        CHECK_NEAR(weight[1], pow(10000, alphas[i]), 1e-9);
        CHECK(weight[2] == 0);
    }
}

static const Test tests[] = {
    {"bpr by its definition", bpr},
    {"bce by its definition", bce},
    {"mse by its definition", mse},
    {"softmax by its definition, users weighted", softmax},
    {"nodes that take no part have no gradient", others_have_no_gradient},
    {"a sample of users stands for all", sampled_users},
    {"negatives by degree", negatives},
    {0},
};

const Subject loss_subject = {"loss", tests};
