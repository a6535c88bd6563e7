/*
 * test_params.c: every edge of every range, and what is said beyond it.
 */
#include "test.h"

#include "model/model.h"
#include "train/loss.h"
#include "train/params.h"

#include <math.h>
#include <string.h>

static double
stored(const GnnConfig *c, const GnnParam *p)
{
    const char *field = (const char *) c + p->offset;

    switch (p->kind)
    {
        case GNN_PARAM_REAL:
            return *(const double *) field;
        case GNN_PARAM_INT64:
            return (double) *(const int64_t *) field;
        default:
            return *(const int *) field;
    }
}

static void
edges(void)
{
    GnnConfig   c;
    char        buf[200];

    gnn_config_defaults(&c);
    for (int i = 0; i < gnn_n_params; i++)
    {
        const GnnParam *p = &gnn_params[i];
        bool        whole = p->kind != GNN_PARAM_REAL;
        double      step = whole ? 1 : 1e-9;

        CHECK(stored(&c, p) == p->def);
        CHECK(p->what[strlen(p->what) - 1] == '.');
        CHECK(gnn_param_find(p->name) == p);
        if (p->kind == GNN_PARAM_CHOICE)
            continue;
        CHECK(p->def >= p->min && p->def <= p->max);
        CHECK(gnn_param_set_number(&c, p, p->min, buf, sizeof(buf)) == NULL && stored(&c, p) == p->min);
        CHECK(gnn_param_set_number(&c, p, p->max, buf, sizeof(buf)) == NULL && stored(&c, p) == p->max);
        CHECK(gnn_param_set_number(&c, p, p->min - step, buf, sizeof(buf)) != NULL);
        if (p->max < 1e15)
            CHECK(gnn_param_set_number(&c, p, p->max + step, buf, sizeof(buf)) != NULL);
        CHECK(gnn_param_set_number(&c, p, NAN, buf, sizeof(buf)) != NULL);
        CHECK(gnn_param_set_number(&c, p, INFINITY, buf, sizeof(buf)) != NULL);
        if (whole)
            CHECK(gnn_param_set_number(&c, p, p->min + 0.5, buf, sizeof(buf)) != NULL);
        CHECK(gnn_param_set_choice(&c, p, "one", buf, sizeof(buf)) != NULL);
        CHECK(stored(&c, p) == p->max);
    }
}

static void
sentences(void)
{
    GnnConfig   c;
    char        buf[200];

    gnn_config_defaults(&c);
    CHECK(strcmp(gnn_param_set_number(&c, gnn_param_find("dim"), 0, buf, sizeof(buf)),
                 "dim must be a whole number from 1 to 1024") == 0);
    CHECK(strcmp(gnn_param_set_number(&c, gnn_param_find("holdout"), 0.6, buf, sizeof(buf)),
                 "holdout must be a number from 0 to 0.5") == 0);
    CHECK(strcmp(gnn_param_set_choice(&c, gnn_param_find("model"), "transformer", buf, sizeof(buf)),
                 "model must be lightgcn, gcn, mf, ngcf, graphsage, gat, ggnn, pinsage, rgcn, kgat or dnn") == 0);
    CHECK(strcmp(gnn_param_set_number(&c, gnn_param_find("loss"), 1, buf, sizeof(buf)),
                 "loss must be softmax, bpr, bce or mse") == 0);
    CHECK(gnn_param_find("learning_rat") == NULL && gnn_param_find("") == NULL && gnn_param_find("DIM") == NULL);
}

static void
choices(void)
{
    GnnConfig   c;
    char        buf[200];
    const GnnParam *model = gnn_param_find("model");
    const GnnParam *loss = gnn_param_find("loss");

    for (int i = 0; i < gnn_n_models; i++)
    {
        CHECK(strcmp(model->choices[i], gnn_models[i]->name) == 0);
        CHECK(gnn_param_set_choice(&c, model, gnn_models[i]->name, buf, sizeof(buf)) == NULL && c.model == i);
    }
    for (int i = 0; i < gnn_n_losses; i++)
    {
        CHECK(strcmp(loss->choices[i], gnn_losses[i]->name) == 0);
        CHECK(gnn_param_set_choice(&c, loss, gnn_losses[i]->name, buf, sizeof(buf)) == NULL && c.loss == i);
    }
    CHECK(model->choices[gnn_n_models] == NULL && loss->choices[gnn_n_losses] == NULL);
}

static const Test tests[] = {
    {"the edges of every range", edges},
    {"what is said", sentences},
    {"choices are the models and losses there are", choices},
    {0},
};

const Subject params_subject = {"params", tests};
