/* parquet_bench.h -- the bench of parquet_tool: realistic trades, written and read. */
#ifndef K2_TESTS_INTEROP_PARQUET_BENCH_H
#define K2_TESTS_INTEROP_PARQUET_BENCH_H

/* usage: bench [ROWS [SORTED [ROUNDS]]]. Prints rows per CPU second and bytes a row; returns the
 * exit code. */
int parquet_bench(int argc, char **argv);

#endif
