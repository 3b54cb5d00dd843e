/* Measures the limit of the machine for the additions of the event-driven engine: v += w over two
 * arrays of a given total size, repeatedly, in float and as saturating 16-bit sums of 8-bit
 * weights.
 * The loop loads, loads, adds and stores whole vectors and does nothing else. Compile it with
 *     cc -O3 -march=native -o stream stream.c
 * The program prints float additions per second and 16-bit additions per second, each the best of
 * ten runs.
 */
#ifdef __AVX512BW__
#include <immintrin.h>
#endif
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

static void add_float(float *restrict v, const float *restrict w, size_t n) {
    for (size_t i = 0; i < n; i++) v[i] += w[i];
}

static void add_short(int16_t *restrict v, const int8_t *restrict w, size_t n) {
    size_t i = 0;
    /* Compilers do not vectorise the saturating addition by themselves, hence the intrinsics. */
#ifdef __AVX512BW__
    for (; i + 32 <= n; i += 32) {
        __m512i u = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const void *)(w + i)));
        _mm512_storeu_si512(v + i, _mm512_adds_epi16(_mm512_loadu_si512(v + i), u));
    }
#endif
    for (; i < n; i++) {
        int sum = v[i] + w[i];
        v[i] = sum > INT16_MAX ? INT16_MAX : sum < INT16_MIN ? INT16_MIN : sum;
    }
}

int main(int argc, char **argv) {
    size_t bytes = argc == 2 ? strtoull(argv[1], NULL, 10) : 0;
    if (bytes < 1024) {
        fprintf(stderr, "usage: stream BYTES\n");
        return 1;
    }
    double best[2] = {0, 0};
    for (int kind = 0; kind < 2; kind++) {
        size_t n = bytes / (kind ? 3 : 8) / 64 * 64, rounds = 200000000 / n + 1;
        void *v = aligned_alloc(64, n * (kind ? 2 : 4)), *w = aligned_alloc(64, n * (kind ? 1 : 4));
        if (!v || !w) return 1;
        for (size_t i = 0; i < n; i++) {
            if (kind) {
                ((int16_t *)v)[i] = 0;
                ((int8_t *)w)[i] = i % 3 - 1;
            } else {
                ((float *)v)[i] = 0;
                ((float *)w)[i] = i % 3 - 1.0f;
            }
        }
        for (int go = 0; go < 10; go++) {
            double begun = now();
            for (size_t r = 0; r < rounds; r++) {
                if (kind) add_short(v, w, n);
                else add_float(v, w, n);
                __asm__ volatile("" ::: "memory");
            }
            double rate = (double)rounds * n / (now() - begun);
            if (rate > best[kind]) best[kind] = rate;
        }
        free(v);
        free(w);
    }
    printf("%.6e %.6e\n", best[0], best[1]);
    return 0;
}
