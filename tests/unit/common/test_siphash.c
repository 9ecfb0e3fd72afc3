/* SPDX-License-Identifier: MIT */
#include "common/bytes.h"
#include "common/siphash.h"

#include <check.h>
#include <stdlib.h>

/* Key 00 01 .. 0f, as in the paper's appendix. */
static const struct siphash_key paper_key = { UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908) };

static const uint8_t *counting(void)
{
	static uint8_t b[64];

	for (unsigned int i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)i;
	return b;
}

/* Appendix A of the paper: 15 bytes 00..0e; and the first vectors of its reference implementation. */
START_TEST(siphash24_paper_vectors)
{
	const uint8_t *b = counting();

	ck_assert_uint_eq(siphash24(b, 15, &paper_key), UINT64_C(0xa129ca6149be45e5));
	ck_assert_uint_eq(siphash24(b, 0, &paper_key), UINT64_C(0x726fdb47dd0e0e31));
	ck_assert_uint_eq(siphash24(b, 1, &paper_key), UINT64_C(0x74f839c593dc67fd));
	ck_assert_uint_eq(siphash24(b, 7, &paper_key), UINT64_C(0xab0200f58b01d137));
	ck_assert_uint_eq(siphash24(b, 8, &paper_key), UINT64_C(0x93f5f5799a932462));
	ck_assert_uint_eq(siphash24(b, 63, &paper_key), UINT64_C(0x958a324ceb064572));
}
END_TEST

/* The same keys and inputs with one and three rounds. */
START_TEST(siphash13_vectors)
{
	const uint8_t *b = counting();

	ck_assert_uint_eq(siphash13(b, 0, &paper_key), UINT64_C(0xabac0158050fc4dc));
	ck_assert_uint_eq(siphash13(b, 1, &paper_key), UINT64_C(0xc9f49bf37d57ca93));
	ck_assert_uint_eq(siphash13(b, 8, &paper_key), UINT64_C(0x369095118d299a8e));
}
END_TEST

START_TEST(siphash13_of_words_is_that_of_their_bytes)
{
	struct siphash_key key = { 0, 0 };
	uint64_t w[5];

	ck_assert_int_eq(siphash_key_random(&key, NULL), 0);
	srandom(1);
	for (int round = 0; round < 1000; round++) {
		for (unsigned int i = 0; i < ARRAY_SIZE(w); i++)
			w[i] = htole64((uint64_t)random() << 40 ^ (uint64_t)random() << 20 ^ (uint64_t)random());
		ck_assert_uint_eq(siphash13_2u64(le64toh(w[0]), le64toh(w[1]), &key), siphash13(w, 16, &key));
		ck_assert_uint_eq(siphash13_12(le64toh(w[0]), (uint32_t)le64toh(w[1]), &key), siphash13(w, 12, &key));
		ck_assert_uint_eq(siphash13_5u64(le64toh(w[0]), le64toh(w[1]), le64toh(w[2]), le64toh(w[3]),
						 le64toh(w[4]), &key), siphash13(w, 40, &key));
		ck_assert_uint_eq(siphash13_36(le64toh(w[0]), le64toh(w[1]), le64toh(w[2]), le64toh(w[3]),
					       (uint32_t)le64toh(w[4]), &key), siphash13(w, 36, &key));
	}
}
END_TEST

START_TEST(siphash_at_any_alignment)
{
	uint8_t room[64 + 8];

	for (size_t at = 0; at < 8; at++) {
		memcpy(room + at, counting(), 64);
		for (size_t len = 0; len <= 64; len++)
			ck_assert_uint_eq(siphash13(room + at, len, &paper_key),
					  siphash13(counting(), len, &paper_key));
	}
}
END_TEST

START_TEST(siphash_keys_differ)
{
	struct siphash_key a = { 0, 0 }, b = { 0, 0 };

	ck_assert_int_eq(siphash_key_random(&a, NULL), 0);
	ck_assert_int_eq(siphash_key_random(&b, NULL), 0);
	ck_assert_mem_ne(&a, &b, sizeof(a));
	ck_assert_uint_ne(siphash13("flow", 4, &a), siphash13("flow", 4, &b));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("siphash");
	TCase *tc = tcase_create("siphash");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(tc, siphash24_paper_vectors);
	tcase_add_test(tc, siphash13_vectors);
	tcase_add_test(tc, siphash13_of_words_is_that_of_their_bytes);
	tcase_add_test(tc, siphash_at_any_alignment);
	tcase_add_test(tc, siphash_keys_differ);
	suite_add_tcase(s, tc);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
