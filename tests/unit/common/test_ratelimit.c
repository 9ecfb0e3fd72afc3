/* SPDX-License-Identifier: MIT */
#include "common/bytes.h"
#include "common/ratelimit.h"

#include <check.h>
#include <stdlib.h>

static unsigned int take_all(struct ratelimit *rl, uint64_t now_ns)
{
	unsigned int n = 0;

	while (n < 100000 && ratelimit_try_take(rl, 1, now_ns))
		n++;
	return n;
}

START_TEST(ratelimit_passes_a_burst_then_the_rate)
{
	struct ratelimit rl;
	uint64_t t = 12345;

	ratelimit_init(&rl, 100, 10, t);
	ck_assert_uint_eq(take_all(&rl, t), 10);
	ck_assert_uint_eq(take_all(&rl, t + NS_PER_S / 100 - 1), 0);
	ck_assert_uint_eq(take_all(&rl, t + NS_PER_S / 100), 1);
	ck_assert_uint_eq(take_all(&rl, t + NS_PER_S / 20), 4);
	ck_assert_uint_eq(take_all(&rl, t + 100 * NS_PER_S), 10);	/* no more than the bucket holds */
}
END_TEST

START_TEST(ratelimit_is_exact_in_the_long_run)
{
	struct ratelimit rl;
	unsigned int n = 0;

	ratelimit_init(&rl, 3, 1, 0);
	ck_assert(ratelimit_try_take(&rl, 1, 0));
	/* A third of a second is no whole number of nanoseconds. */
	for (uint64_t t = 0; t <= 1000 * NS_PER_S; t += 1234567)
		n += ratelimit_try_take(&rl, 1, t);
	ck_assert_uint_ge(n, 2985);	/* each token may be found up to one step late */
	ck_assert_uint_le(n, 3000);
}
END_TEST

START_TEST(ratelimit_extremes)
{
	struct ratelimit rl;

	ratelimit_init(&rl, UINT32_MAX, UINT32_MAX, 0);
	ck_assert(ratelimit_try_take(&rl, UINT32_MAX, 0));
	ck_assert(!ratelimit_try_take(&rl, UINT32_MAX, NS_PER_S - 1));
	ck_assert(ratelimit_try_take(&rl, UINT32_MAX, NS_PER_S));
	ck_assert(ratelimit_try_take(&rl, UINT32_MAX, UINT64_MAX));
	ratelimit_init(&rl, 10, 0, 0);
	ck_assert(!ratelimit_try_take(&rl, 1, UINT64_MAX));
	ratelimit_init(&rl, 0, 2, 0);
	ck_assert_uint_eq(take_all(&rl, 5), 2);
	ck_assert_uint_eq(take_all(&rl, UINT64_MAX - 1), 0);
}
END_TEST

START_TEST(ratelimit_clock_may_step_back)
{
	struct ratelimit rl;

	ratelimit_init(&rl, 1, 1, 10 * NS_PER_S);
	ck_assert(ratelimit_try_take(&rl, 1, 10 * NS_PER_S));
	ck_assert(!ratelimit_try_take(&rl, 1, 5 * NS_PER_S));
	ck_assert(!ratelimit_try_take(&rl, 1, 10 * NS_PER_S + 1));
	ck_assert(ratelimit_try_take(&rl, 1, 11 * NS_PER_S));
}
END_TEST

START_TEST(clocks_run)
{
	uint64_t mono_ns = clock_mono_ns();

	ck_assert_uint_ge(clock_mono_ns(), mono_ns);
	ck_assert_uint_gt(clock_real_ns(), UINT64_C(1700000000) * NS_PER_S);
}
END_TEST

START_TEST(bytes_loads_and_stores)
{
	static const uint8_t b[] = { 0xee, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08 };
	uint8_t c[sizeof(b)] = { 0xee };

	ck_assert_uint_eq(be16_at(b + 1), 0x0102);
	ck_assert_uint_eq(be24_at(b + 1), 0x010203);
	ck_assert_uint_eq(be32_at(b + 1), 0x01020304);
	ck_assert_uint_eq(be64_at(b + 1), UINT64_C(0x0102030405060708));
	ck_assert_uint_eq(wire16_at(b + 1), htobe16(0x0102));
	ck_assert_uint_eq(wire32_at(b + 1), htobe32(0x01020304));
	put_be64(c + 1, UINT64_C(0x0102030405060708));
	ck_assert_mem_eq(b, c, sizeof(b));
	put_be16(c + 1, 0x1112);
	put_be24(c + 3, 0x131415);
	put_be32(c + 5, 0x16171819);
	ck_assert_uint_eq(be64_at(c + 1), UINT64_C(0x1112131416171819));
	ck_assert_uint_eq(round_up_pow2(0), 1);
	ck_assert_uint_eq(round_up_pow2(1), 1);
	ck_assert_uint_eq(round_up_pow2(3), 4);
	ck_assert_uint_eq(round_up_pow2(1u << 31), 1u << 31);
	ck_assert(is_pow2(64) && !is_pow2(0) && !is_pow2(65));
	ck_assert_uint_eq(align_up(65, 64), 128);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ratelimit, clock, bytes");
	TCase *tc = tcase_create("ratelimit");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(tc, ratelimit_passes_a_burst_then_the_rate);
	tcase_add_test(tc, ratelimit_is_exact_in_the_long_run);
	tcase_add_test(tc, ratelimit_extremes);
	tcase_add_test(tc, ratelimit_clock_may_step_back);
	tcase_add_test(tc, clocks_run);
	tcase_add_test(tc, bytes_loads_and_stores);
	suite_add_tcase(s, tc);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
