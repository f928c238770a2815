/* Group normalisation, Mish and FiLM of activations [T, C, B] in one sweep, with tangent and backward pass.
 *
 * Between two convolutions PyTorch would make about fifteen passes over memory (fifty with a tangent and its
 * backward pass); here it is three. The backward pass recomputes everything from inputs and group statistics.
 *
 *   unit = (z - mean z) r,  r = 1 / sqrt(var z + eps)        y  = gain unit + bias
 *   dunit = r w,  w = u - unit p,  u = dz - mean dz,          dy = gain r w
 *                 p = mean(unit u)
 *   h = mish(y), dh = mish'(y) dy                             out  = h (1 + scale) + shift
 *                                                             dout = dh (1 + scale) + h dscale + dshift
 *
 * Tangents may be those of the first D samples alone; their arrays then are [T, C, D] and [C, D].
 *
 * Called by activation.py; compiled by kernels.py for the machine it runs on. Inner loops run over the batch, LANES
 * samples at a time.
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#define LANES 64
#define EPS 1e-5f
#define INLINE static inline __attribute__((always_inline))
#define FOR_LANES _Pragma("omp simd") for (int i = 0; i < n; ++i)

typedef struct {
    int T, C, B, G, D;
    const float *z, *dz;                           /* [T, C, B], [T, C, D]; dz NULL: no tangent */
    const float *gain, *bias;                      /* [C] */
    const float *scale, *shift, *dscale, *dshift;  /* [C, B], [C, D]; scale NULL: no FiLM */
    float *stats;                                  /* [4, G, B]: mean, r, mean of dz, p */
    float *out, *dout;                             /* forward */
    const float *g_out, *g_dout;                   /* backward */
    float *g_z, *g_dz, *g_gain, *g_bias;           /* g_gain and g_bias are added to */
    float *g_scale, *g_shift, *g_dscale, *g_dshift;
} Args;

INLINE float fast_exp(float x) {
    /* Cody-Waite reduction and a polynomial: 2 ulp, and unlike expf it becomes vector code. */
    x = x < -87.0f ? -87.0f : x; /* not fmaxf: its treatment of NaN is a function call */
    x = x > 20.0f ? 20.0f : x;
    float n = rintf(x * 1.44269504f);
    float f = fmaf(n, -0.693359375f, x);
    f = fmaf(n, 2.12194440e-4f, f);
    float p = 1.9875691500e-4f;
    p = fmaf(p, f, 1.3981999507e-3f);
    p = fmaf(p, f, 8.3334519073e-3f);
    p = fmaf(p, f, 4.1665795894e-2f);
    p = fmaf(p, f, 1.6666665459e-1f);
    p = fmaf(p, f, 5.0000001201e-1f);
    p = fmaf(p * f, f, f) + 1.0f;
    union { int32_t bits; float value; } power = {((int32_t)n + 127) << 23};
    return p * power.value;
}

/* mish(y) = y th with th = tanh(softplus(y)), s = sigmoid(y), and its first and second derivative. A macro, as
 * results returned through pointers would keep the compiler from vectorising. */
#define MISH(y)                                                                      \
    const float e = fast_exp(y), num = e * (e + 2.0f);                               \
    const float s = e / (e + 1.0f), th = num / (num + 2.0f), d_th = s - th * th * s; \
    const float slope = th + y * d_th;                                               \
    const float bend = d_th * (2.0f + y * (1.0f - s - 2.0f * th * s));               \
    (void)bend;

INLINE void statistics(const Args *a, int group, int b, int n, int dual) {
    const int width = a->C / a->G, rows = a->T * width;
    const size_t C = (size_t)a->C, B = (size_t)a->B, D = (size_t)a->D;
    float mean[LANES] = {0}, dmean[LANES] = {0}, var[LANES] = {0}, p[LANES] = {0};
    for (int row = 0; row < rows; ++row) {
        size_t row_at = (row / width) * C + group * width + row % width;
        const float *z = a->z + row_at * B + b, *dz = a->dz + row_at * D + b;
        FOR_LANES mean[i] += z[i];
        if (dual) FOR_LANES dmean[i] += dz[i];
    }
    FOR_LANES { mean[i] /= rows; dmean[i] /= rows; }
    for (int row = 0; row < rows; ++row) {
        size_t row_at = (row / width) * C + group * width + row % width;
        const float *z = a->z + row_at * B + b, *dz = a->dz + row_at * D + b;
        FOR_LANES { float c = z[i] - mean[i]; var[i] += c * c; }
        if (dual) FOR_LANES p[i] += (z[i] - mean[i]) * (dz[i] - dmean[i]);
    }
    float *stats = a->stats + group * B + b;
    const size_t next = (size_t)a->G * B;
    FOR_LANES {
        float r = 1.0f / sqrtf(var[i] / rows + EPS);
        stats[i] = mean[i];
        stats[next + i] = r;
        stats[2 * next + i] = dmean[i];
        stats[3 * next + i] = r * p[i] / rows;
    }
}

INLINE void forward_strip(const Args *a, int group, int b, int n, int dual, int film) {
    statistics(a, group, b, n, dual);
    const int width = a->C / a->G;
    const size_t B = (size_t)a->B, D = (size_t)a->D, next = (size_t)a->G * B;
    const float *restrict mean = a->stats + group * B + b, *restrict r = mean + next;
    const float *restrict dmean = r + next, *restrict p = dmean + next;
    for (int c = group * width; c < (group + 1) * width; ++c) {
        const float gain = a->gain[c], bias = a->bias[c];
        const size_t f = film ? c * B + b : 0, df = film ? c * D + b : 0;
        const float *restrict scale = a->scale + f, *restrict shift = a->shift + f;
        const float *restrict dscale = a->dscale + df, *restrict dshift = a->dshift + df;
        for (int t = 0; t < a->T; ++t) {
            const size_t row = (size_t)t * a->C + c, at = row * B + b, dat = row * D + b;
            const float *restrict z = a->z + at, *restrict dz = a->dz + dat;
            float *restrict out = a->out + at, *restrict dout = a->dout + dat;
            FOR_LANES {
                float unit = (z[i] - mean[i]) * r[i];
                float y = gain * unit + bias;
                MISH(y)
                float h = y * th;
                out[i] = film ? h * (1.0f + scale[i]) + shift[i] : h;
                if (dual) {
                    float dh = slope * gain * r[i] * (dz[i] - dmean[i] - unit * p[i]);
                    dout[i] = film ? dh * (1.0f + scale[i]) + h * dscale[i] + dshift[i] : dh;
                }
            }
        }
    }
}

/* First sweep: gradients before the normalisation (kept in g_z, g_dz), and the sums its backward pass needs. */
INLINE void backward_strip(const Args *a, int group, int b, int n, int dual, int film) {
    const int width = a->C / a->G, rows = a->T * width;
    const size_t B = (size_t)a->B, D = (size_t)a->D, next = (size_t)a->G * B;
    const float *restrict mean = a->stats + group * B + b, *restrict r = mean + next;
    const float *restrict dmean = r + next, *restrict p = dmean + next;
    float sum_g[LANES] = {0}, sum_gu[LANES] = {0};
    float sum_h[LANES] = {0}, sum_hu[LANES] = {0}, sum_hw[LANES] = {0};
    for (int c = group * width; c < (group + 1) * width; ++c) {
        const float gain = a->gain[c], bias = a->bias[c];
        const size_t f = film ? c * B + b : 0, df = film ? c * D + b : 0;
        const float *restrict scale = a->scale + f, *restrict dscale = a->dscale + df;
        float d_gain[LANES] = {0}, d_bias[LANES] = {0};
        float d_scale[LANES] = {0}, d_shift[LANES] = {0}, d_dscale[LANES] = {0}, d_dshift[LANES] = {0};
        for (int t = 0; t < a->T; ++t) {
            const size_t row = (size_t)t * a->C + c, at = row * B + b, dat = row * D + b;
            const float *restrict z = a->z + at, *restrict dz = a->dz + dat;
            const float *restrict g_out = a->g_out + at, *restrict g_dout = a->g_dout + dat;
            float *restrict g_z = a->g_z + at, *restrict g_dz = a->g_dz + dat;
            FOR_LANES {
                float unit = (z[i] - mean[i]) * r[i];
                float y = gain * unit + bias;
                MISH(y)
                float h = y * th, g_h = g_out[i], g_dh = dual ? g_dout[i] : 0.0f;
                float w = dual ? dz[i] - dmean[i] - unit * p[i] : 0.0f;
                float dy = gain * r[i] * w;
                if (film) {
                    d_scale[i] += g_h * h + g_dh * slope * dy;
                    d_shift[i] += g_h;
                    d_dscale[i] += g_dh * h;
                    d_dshift[i] += g_dh;
                    g_h = g_h * (1.0f + scale[i]) + (dual ? g_dh * dscale[i] : 0.0f);
                    g_dh *= 1.0f + scale[i];
                }
                float g_y = g_h * slope + bend * dy * g_dh;
                float g_dy = g_dh * slope * r[i];
                d_gain[i] += g_y * unit + g_dy * w;
                d_bias[i] += g_y;
                g_y *= gain;
                g_dy *= gain;
                sum_g[i] += g_y;
                sum_gu[i] += g_y * unit;
                g_z[i] = g_y;
                if (dual) {
                    sum_h[i] += g_dy;
                    sum_hu[i] += g_dy * unit;
                    sum_hw[i] += g_dy * w;
                    g_dz[i] = g_dy;
                }
            }
        }
        FOR_LANES { a->g_gain[c] += d_gain[i]; a->g_bias[c] += d_bias[i]; }
        if (film) {
            FOR_LANES { a->g_scale[f + i] = d_scale[i]; a->g_shift[f + i] = d_shift[i]; }
            if (dual) FOR_LANES { a->g_dscale[df + i] = d_dscale[i]; a->g_dshift[df + i] = d_dshift[i]; }
        }
    }
    FOR_LANES {
        sum_g[i] = (sum_g[i] - p[i] * sum_h[i]) / rows;
        sum_gu[i] = (sum_gu[i] - 2.0f * p[i] * sum_hu[i] + sum_hw[i]) / rows;
        sum_h[i] /= rows;
        sum_hu[i] /= rows;
    }
    for (int row = 0; row < rows; ++row) {
        const size_t row_at = (size_t)(row / width) * a->C + group * width + row % width;
        const float *restrict z = a->z + row_at * B + b, *restrict dz = a->dz + row_at * D + b;
        float *restrict g_z = a->g_z + row_at * B + b, *restrict g_dz = a->g_dz + row_at * D + b;
        FOR_LANES {
            float unit = (z[i] - mean[i]) * r[i], g = g_z[i];
            if (dual) {
                float h = g_dz[i];
                g -= h * p[i] + (dz[i] - dmean[i]) * sum_hu[i];
                g_dz[i] = h - sum_h[i] - unit * sum_hu[i];
            }
            g_z[i] = r[i] * (g - sum_g[i] - unit * sum_gu[i]);
        }
    }
}

#define SWEEP(strip, from, to, dual, film)                                 \
    for (int group = 0; group < a->G; ++group)                             \
        for (int b = from; b < to; b += LANES) {                           \
            if (b + LANES <= to) strip(a, group, b, LANES, dual, film);    \
            else strip(a, group, b, to - b, dual, film);                   \
        }

#define DISPATCH(name, strip)                            \
    void name(const Args *a) {                           \
        const int D = a->dz ? a->D : 0;                  \
        if (a->scale) {                                  \
            SWEEP(strip, 0, D, 1, 1)                     \
            SWEEP(strip, D, a->B, 0, 1)                  \
        } else {                                         \
            SWEEP(strip, 0, D, 1, 0)                     \
            SWEEP(strip, D, a->B, 0, 0)                  \
        }                                                \
    }

DISPATCH(activate_forward, forward_strip)
DISPATCH(activate_backward, backward_strip)
