/* Convolutions over time of activations [T, C, B], with tangents, and their gradient in the weights.
 *
 * The window of a convolution is a contiguous run of taps * C rows of the padded input, so that
 *
 *   out[t, o, b] = sum_k w[o, k] x[t C + k, b]          g_w[o, k] = sum_t,b g[t, o, b] x[t C + k, b]
 *
 * are matrix products of a few dozen rows, for which general libraries are slow. Here SAMPLES columns at a time are
 * copied next to each other, so that a window fits the first cache, and a tile of results stays in registers.
 *
 * Called by convolution.py; compiled by kernels.py for the machine it runs on.
 */
#include <stddef.h>
#include <string.h>

/* Tiles: OUTPUTS x SAMPLES of the result; ROWS x INPUTS of the gradient in the weights. */
#ifdef __AVX512F__ /* 32 registers of 16 floats */
#define LANES 16
#define OUTPUTS 8
#define ROWS 3
#define INPUTS 8
#else /* 16 registers of 8 */
#define LANES 8
#define OUTPUTS 4
#define ROWS 2
#define INPUTS 4
#endif
#define SAMPLES (2 * LANES)
#define UNROLL _Pragma("GCC unroll 8")

typedef float vec __attribute__((vector_size(4 * LANES), may_alias));

typedef struct {
    int T, C, O, B, D, taps, left;
    const float *x, *dx;   /* [T, C, B], [T, C, D]; dx NULL: no tangent */
    const float *w;        /* [O, taps C] */
    float *out, *dout;     /* [T, O, B], [T, O, D] */
    const float *g, *dg;   /* backward: as out, dout */
    float *g_w;            /* as w */
    float *scratch;        /* convolution_scratch floats, aligned to 64 bytes */
} Args;

static int rounded(int n, int unit) { return (n + unit - 1) / unit * unit; }

/* Rows of a block of padded input; a few more may be read than the last window has. */
static size_t padded_rows(const Args *a) { return (size_t)(a->T + a->taps - 1) * a->C + INPUTS; }

/* Columns b ... of rows [R, B], zeros where there are none. */
static void gather(const float *from, size_t rows, size_t B, size_t b, float *to) {
    const size_t n = B - b < SAMPLES ? B - b : SAMPLES;
    for (size_t r = 0; r < rows; ++r, from += B, to += SAMPLES) {
        if (n == SAMPLES) memcpy(to, from + b, sizeof(float) * SAMPLES);
        else {
            memset(to, 0, sizeof(float) * SAMPLES);
            memcpy(to, from + b, sizeof(float) * n);
        }
    }
}

static void gather_padded(const Args *a, const float *x, size_t B, size_t b, float *to) {
    const size_t left = (size_t)a->left * a->C, rows = (size_t)a->T * a->C;
    memset(to, 0, sizeof(float) * SAMPLES * left);
    gather(x, rows, B, b, to + SAMPLES * left);
    memset(to + SAMPLES * (left + rows), 0, sizeof(float) * SAMPLES * (padded_rows(a) - left - rows));
}

static void forward_tile(const float *w, const float *x, int K, float *out, size_t stride, int rows, size_t n) {
    vec sum[OUTPUTS][2] = {{{0}}};
    for (int k = 0; k < K; ++k) {
        const vec *v = (const vec *)(x + (size_t)k * SAMPLES);
        UNROLL for (int m = 0; m < OUTPUTS; ++m) {
            sum[m][0] += w[k * OUTPUTS + m] * v[0];
            sum[m][1] += w[k * OUTPUTS + m] * v[1];
        }
    }
    if (rows == OUTPUTS && n == SAMPLES) {
        UNROLL for (int m = 0; m < OUTPUTS; ++m) memcpy(out + m * stride, sum[m], sizeof sum[m]);
    } else {
        for (int m = 0; m < rows; ++m) memcpy(out + m * stride, sum[m], sizeof(float) * n);
    }
}

static void forward_stream(const Args *a, const float *w, const float *x, size_t B, float *out, float *columns) {
    const int K = a->taps * a->C;
    for (size_t b = 0; b < B; b += SAMPLES) {
        const size_t n = B - b < SAMPLES ? B - b : SAMPLES;
        gather_padded(a, x, B, b, columns);
        for (int t = 0; t < a->T; ++t)
            for (int o = 0; o < a->O; o += OUTPUTS)
                forward_tile(w + (size_t)o * K, columns + (size_t)t * a->C * SAMPLES, K,
                             out + ((size_t)t * a->O + o) * B + b, B, a->O - o < OUTPUTS ? a->O - o : OUTPUTS, n);
    }
}

void convolution_forward(const Args *a) {
    const int K = a->taps * a->C, O = rounded(a->O, OUTPUTS);
    float *tiles = a->scratch, *columns = tiles + rounded(O * K, LANES);
    for (int o = 0; o < O; ++o)
        for (int k = 0; k < K; ++k)
            tiles[((size_t)(o / OUTPUTS) * K + k) * OUTPUTS + o % OUTPUTS] = o < a->O ? a->w[(size_t)o * K + k] : 0.0f;
    forward_stream(a, tiles, a->x, a->B, a->out, columns);
    if (a->dx) forward_stream(a, tiles, a->dx, a->D, a->dout, columns);
}

/* One tile of the gradient over the samples of a block; its lanes are added up at the very end. */
static void gradient_tile(const float *g, const float *x, int T, size_t x_step, vec *sums, size_t stride) {
    vec sum[ROWS][INPUTS];
    UNROLL for (int m = 0; m < ROWS; ++m) UNROLL for (int i = 0; i < INPUTS; ++i) sum[m][i] = sums[m * stride + i];
    for (int t = 0; t < T; ++t, g += ROWS * SAMPLES, x += x_step) {
        UNROLL for (int half = 0; half < 2; ++half) {
            vec u[INPUTS];
            UNROLL for (int i = 0; i < INPUTS; ++i) u[i] = *(const vec *)(x + i * SAMPLES + half * LANES);
            UNROLL for (int m = 0; m < ROWS; ++m) {
                const vec v = *(const vec *)(g + m * SAMPLES + half * LANES);
                UNROLL for (int i = 0; i < INPUTS; ++i) sum[m][i] += v * u[i];
            }
        }
    }
    UNROLL for (int m = 0; m < ROWS; ++m) UNROLL for (int i = 0; i < INPUTS; ++i) sums[m * stride + i] = sum[m][i];
}

static void gradient_stream(const Args *a, const float *x, const float *g, size_t B, vec *sums, float *columns) {
    const int K = rounded(a->taps * a->C, INPUTS);
    const size_t tile = (size_t)a->T * ROWS * SAMPLES;
    float *tiles = columns + padded_rows(a) * SAMPLES;
    for (size_t b = 0; b < B; b += SAMPLES) {
        gather_padded(a, x, B, b, columns);
        for (int o = 0; o < a->O; o += ROWS)
            for (int t = 0; t < a->T; ++t) {
                float *to = tiles + o / ROWS * tile + (size_t)t * ROWS * SAMPLES;
                const int rows = a->O - o < ROWS ? a->O - o : ROWS;
                gather(g + ((size_t)t * a->O + o) * B, rows, B, b, to);
                memset(to + rows * SAMPLES, 0, sizeof(float) * SAMPLES * (ROWS - rows));
            }
        for (int k = 0; k < K; k += INPUTS)
            for (int o = 0; o < a->O; o += ROWS)
                gradient_tile(tiles + o / ROWS * tile, columns + (size_t)k * SAMPLES, a->T, (size_t)a->C * SAMPLES,
                              sums + (size_t)o * K + k, K);
    }
}

void convolution_gradient(const Args *a) {
    const int K = a->taps * a->C, width = rounded(K, INPUTS), O = rounded(a->O, ROWS);
    vec *sums = (vec *)a->scratch;
    memset(sums, 0, sizeof(vec) * O * width);
    float *columns = (float *)(sums + (size_t)O * width);
    gradient_stream(a, a->x, a->g, a->B, sums, columns);
    if (a->dx) gradient_stream(a, a->dx, a->dg, a->D, sums, columns);
    for (int o = 0; o < a->O; ++o)
        for (int k = 0; k < K; ++k) {
            const vec v = sums[(size_t)o * width + k];
            float total = 0.0f;
            for (int i = 0; i < LANES; ++i) total += v[i];
            a->g_w[(size_t)o * K + k] = total;
        }
}

/* Floats that either of the functions needs. */
size_t convolution_scratch(const Args *a) {
    const size_t K = rounded(a->taps * a->C, LANES) + INPUTS, O = rounded(a->O, OUTPUTS) + ROWS;
    return LANES * K * O + SAMPLES * (padded_rows(a) + (size_t)a->T * O) + LANES;
}
