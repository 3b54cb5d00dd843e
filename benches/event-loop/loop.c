/* The reference for the speed of the event-driven engine: the same computation as a plain C loop.
 *
 * The loop processes one event at a time, depth first. Weights are [ky][kx][c_in][c_out] and
 * potentials [y][x][c]. An event adds one weight to every neuron that it reaches; then the neurons
 * above the threshold fire in (c, y, x) order. The code is straightforward and not tuned. Compile it
 * with
 *     cc -O3 -march=native -o loop loop.c -lm
 * The program reads the file that `cargo run --release -p tickless-engine --example against_c`
 * writes, runs all recordings `rounds` times, and prints the best seconds of a round, events,
 * operations, the sum of spikes, and a checksum of the logits. The example compares these with the
 * engine's and prints the ratio.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct {
    int32_t cin, hin, win, pool, kernel_h, kernel_w, stride, pad, cout, hout, wout, readout;
    float tau; /* 0: no leak, multi spike, soft reset, limit -1; else single spike, hard reset */
    float *w, *v;
    uint64_t *hit;
} Layer;

static Layer layers[16];
static int n_layers;
static uint64_t ops, spikes, now;

static void deliver(int l, int c, int y, int x) {
    Layer *q = &layers[l];
    y /= q->pool;
    x /= q->pool;
    if (y >= q->hin || x >= q->win) return;
    int y0 = y + q->pad - q->kernel_h + 1, x0 = x + q->pad - q->kernel_w + 1;
    y0 = y0 <= 0 ? 0 : (y0 + q->stride - 1) / q->stride;
    x0 = x0 <= 0 ? 0 : (x0 + q->stride - 1) / q->stride;
    int y1 = (y + q->pad) / q->stride, x1 = (x + q->pad) / q->stride;
    if (y1 >= q->hout) y1 = q->hout - 1;
    if (x1 >= q->wout) x1 = q->wout - 1;
    for (int oy = y0; oy <= y1; oy++)
        for (int ox = x0; ox <= x1; ox++) {
            int ky = y + q->pad - oy * q->stride, kx = x + q->pad - ox * q->stride;
            const float *w = q->w + ((ky * q->kernel_w + kx) * q->cin + c) * q->cout;
            float *v = q->v + (oy * q->wout + ox) * q->cout;
            if (q->tau > 0) {
                uint64_t *hit = &q->hit[oy * q->wout + ox];
                float f = (float)exp(-(double)(now - *hit) / q->tau);
                *hit = now;
                for (int o = 0; o < q->cout; o++) v[o] = v[o] * f + w[o];
            } else {
                for (int o = 0; o < q->cout; o++) v[o] += w[o];
            }
            ops += q->cout;
        }
    if (q->readout) return;
    for (int o = 0; o < q->cout; o++)
        for (int oy = y0; oy <= y1; oy++)
            for (int ox = x0; ox <= x1; ox++) {
                float *v = &q->v[(oy * q->wout + ox) * q->cout + o];
                int n = 0;
                if (q->tau > 0) {
                    if (*v > 1.0f) {
                        n = 1;
                        *v = 0;
                    }
                } else {
                    if (*v >= 1.0f) {
                        n = (int)*v;
                        *v -= n;
                    }
                    if (*v < -1.0f) *v = -1.0f;
                }
                spikes += n;
                for (int k = 0; k < n; k++) deliver(l + 1, o, oy, ox);
            }
}

static void *need(FILE *f, size_t size) {
    void *p = malloc(size ? size : 1);
    if (!p || fread(p, 1, size, f) != size) {
        fprintf(stderr, "the file is cut short\n");
        exit(1);
    }
    return p;
}

int main(int argc, char **argv) {
    FILE *f = argc == 3 ? fopen(argv[1], "rb") : NULL;
    if (!f) {
        fprintf(stderr, "usage: loop FILE ROUNDS\n");
        return 1;
    }
    n_layers = *(int32_t *)need(f, 4);
    for (int l = 0; l < n_layers; l++) {
        Layer *q = &layers[l];
        memcpy(q, need(f, 13 * 4), 13 * 4);
        q->w = need(f, sizeof(float) * q->kernel_h * q->kernel_w * q->cin * q->cout);
        q->v = calloc(q->hout * q->wout * q->cout, sizeof(float));
        q->hit = calloc(q->hout * q->wout, sizeof(uint64_t));
    }
    int32_t n_recordings = *(int32_t *)need(f, 4);
    int32_t *length = need(f, 4 * n_recordings);
    uint32_t(**events)[4] = malloc(sizeof(void *) * n_recordings);
    uint64_t n_events = 0;
    for (int r = 0; r < n_recordings; r++) {
        events[r] = need(f, 16 * (size_t)length[r]);
        n_events += length[r];
    }
    double best = 1e9, sum = 0;
    for (int round = 0; round < atoi(argv[2]); round++) {
        struct timespec a, b;
        clock_gettime(CLOCK_MONOTONIC, &a);
        ops = spikes = 0;
        sum = 0;
        for (int r = 0; r < n_recordings; r++) {
            for (int l = 0; l < n_layers; l++) {
                Layer *q = &layers[l];
                memset(q->v, 0, sizeof(float) * q->hout * q->wout * q->cout);
                memset(q->hit, 0, sizeof(uint64_t) * q->hout * q->wout);
            }
            for (int k = 0; k < length[r]; k++) {
                uint32_t *e = events[r][k];
                now = e[0];
                deliver(0, e[1], e[2], e[3]);
            }
            Layer *q = &layers[n_layers - 1];
            for (int o = 0; o < q->cout; o++) sum += q->v[o] * (o + 1);
        }
        clock_gettime(CLOCK_MONOTONIC, &b);
        double s = (b.tv_sec - a.tv_sec) + 1e-9 * (b.tv_nsec - a.tv_nsec);
        if (s < best) best = s;
    }
    printf("%.9f %llu %llu %llu %.6e\n", best, (unsigned long long)n_events, (unsigned long long)ops,
           (unsigned long long)spikes, sum);
    return 0;
}
