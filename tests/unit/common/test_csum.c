/* SPDX-License-Identifier: MIT */
#include "common/csum.h"

#include <check.h>
#include <stdlib.h>

/* The definition, word by word, in host order (RFC 1071 1). */
static uint16_t naive(const uint8_t *p, size_t len, uint32_t start)
{
	uint64_t sum = start;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += be16_at(p + i);
	if (len & 1)
		sum += (uint32_t)p[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static uint16_t folded(uint32_t sum)
{
	return be16toh(csum_fold16(sum));
}

static void fill_random(uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(random() >> 7);
}

START_TEST(csum_rfc1071_example)
{
	static const uint8_t b[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };

	ck_assert_uint_eq(folded(csum_partial(b, sizeof(b), 0)), 0xddf2);
}
END_TEST

START_TEST(csum_agrees_with_the_definition_at_every_length)
{
	uint8_t *room = malloc(4096 + 16);

	srandom(1);
	for (size_t len = 0; len <= 4096; len++) {
		uint8_t *p = room + 4096 - len;		/* ends where the memory that ASan watches is near */
		uint8_t *exact = malloc(len ? len : 1);

		fill_random(p, len);
		memcpy(exact, p, len);
		ck_assert_uint_eq(folded(csum_partial(exact, len, 0)), naive(p, len, 0));
		free(exact);
	}
	free(room);
}
END_TEST

START_TEST(csum_agrees_at_every_alignment)
{
	uint8_t room[64 + 300];

	srandom(2);
	fill_random(room, sizeof(room));
	for (size_t at = 0; at < 64; at++) {
		for (size_t len = 0; len < 300; len++)
			ck_assert_uint_eq(folded(csum_partial(room + at, len, 0)), naive(room + at, len, 0));
	}
}
END_TEST

START_TEST(csum_carries_all_the_way)
{
	uint8_t ones[200];

	memset(ones, 0xff, sizeof(ones));
	for (size_t len = 0; len <= sizeof(ones); len++) {
		uint16_t want = naive(ones, len, 0);

		ck_assert_uint_eq(folded(csum_partial(ones, len, UINT32_MAX)) % 0xffff, want % 0xffff);
		ck_assert_uint_eq(folded(csum_partial(ones, len, htobe16(1))), naive(ones, len, 1));
	}
	/* One's complement has two zeroes; a sum of something that is not zero is never the positive one. */
	ck_assert_uint_eq(csum_fold16(csum_partial(ones, 64, 0)), 0xffff);
	ck_assert_uint_eq(csum_fold16(csum_partial(ones, 0, 0)), 0);
}
END_TEST

START_TEST(csum_of_pieces_is_the_sum_of_the_whole)
{
	uint8_t b[257];

	srandom(3);
	for (int round = 0; round < 2000; round++) {
		size_t cut = (size_t)random() % (sizeof(b) + 1);
		uint32_t whole, pieces;

		fill_random(b, sizeof(b));
		whole = csum_partial(b, sizeof(b), 0);
		pieces = csum_add_at(csum_partial(b, cut, 0), csum_partial(b + cut, sizeof(b) - cut, 0), cut);
		ck_assert_uint_eq(csum_fold16(pieces), csum_fold16(whole));
		if (cut % 2 == 0) {
			ck_assert_uint_eq(csum_fold16(csum_partial(b + cut, sizeof(b) - cut,
								   csum_partial(b, cut, 0))), csum_fold16(whole));
			ck_assert_uint_eq(csum_fold16(csum_sub(whole, csum_partial(b, cut, 0))),
					  csum_fold16(csum_partial(b + cut, sizeof(b) - cut, 0)));
		}
	}
}
END_TEST

START_TEST(csum_ipv4_header_is_csum_partial)
{
	uint8_t b[61];

	srandom(4);
	for (unsigned int words = 5; words <= 15; words++) {
		for (int round = 0; round < 50; round++) {
			fill_random(b, sizeof(b));
			ck_assert_uint_eq(csum_fold(csum_ipv4_header(b + 1, words)),
					  csum_fold(csum_partial(b + 1, words * 4, 0)));
		}
	}
}
END_TEST

START_TEST(csum_ipv4_pseudo_is_that_of_its_bytes)
{
	uint8_t pseudo[12];

	srandom(5);
	for (int round = 0; round < 5000; round++) {
		uint16_t len = (uint16_t)random();

		fill_random(pseudo, sizeof(pseudo));
		pseudo[8] = 0;
		put_be16(pseudo + 10, len);
		ck_assert_uint_eq(csum_fold(csum_ipv4_pseudo(wire32_at(pseudo), wire32_at(pseudo + 4), len, pseudo[9])),
				  csum_fold(csum_partial(pseudo, sizeof(pseudo), 0)));
	}
}
END_TEST

START_TEST(csum_ipv6_pseudo_is_that_of_its_bytes)
{
	uint8_t pseudo[40];

	srandom(6);
	for (int round = 0; round < 5000; round++) {
		uint32_t len = (uint32_t)random() * 2;

		fill_random(pseudo, sizeof(pseudo));
		put_be32(pseudo + 32, len);
		memset(pseudo + 36, 0, 3);
		ck_assert_uint_eq(csum_fold(csum_ipv6_pseudo(pseudo, pseudo + 16, len, pseudo[39])),
				  csum_fold(csum_partial(pseudo, sizeof(pseudo), 0)));
	}
	memset(pseudo, 0xff, 32);
	put_be32(pseudo + 32, UINT32_MAX);
	ck_assert_uint_eq(csum_fold(csum_ipv6_pseudo(pseudo, pseudo + 16, UINT32_MAX, pseudo[39])),
			  csum_fold(csum_partial(pseudo, sizeof(pseudo), 0)));
}
END_TEST

START_TEST(csum_udp_zero_is_sent_as_ones)
{
	ck_assert_uint_eq(csum_fold(0xffff), 0);
	ck_assert_uint_eq(csum_fold_udp(0xffff), 0xffff);
	ck_assert_uint_eq(csum_fold_udp(0), 0xffff);
	ck_assert_uint_eq(csum_fold_udp(0x1234), csum_fold(0x1234));
}
END_TEST

/* RFC 1624 4: the example on which RFC 1141's equation gives 0xffff. */
START_TEST(csum_replace_rfc1624_example)
{
	ck_assert_uint_eq(csum_replace2(htobe16(0xdd2f), htobe16(0x5555), htobe16(0x3285)), htobe16(0x0000));
	ck_assert_uint_eq(csum_replace4(htobe16(0xdd2f), htobe32(0x5555), htobe32(0x3285)), htobe16(0x0000));
}
END_TEST

/* A packet's checksum is edited and computed anew; both fields hold the one value a full computation gives. */
START_TEST(csum_replace_is_recomputing)
{
	uint8_t b[64], was[16];

	srandom(7);
	for (int round = 0; round < 30000; round++) {
		size_t at = 2 + (size_t)random() % 23 * 2;
		__sum16 check;

		fill_random(b, sizeof(b));
		if (round % 3 == 0)
			memset(b + 2, round % 2 ? 0xff : 0, 40);	/* extremes are where the equations differ */
		b[2] = 0x45;						/* a header is never all zero */
		at = at < 4 ? 4 : at;
		put_wire16(b, 0);
		check = csum_fold(csum_partial(b, sizeof(b), 0));
		memcpy(was, b + at, 16);

		if (round % 5 == 0)
			memset(b + at, 0xff, 2);
		else
			fill_random(b + at, 2);
		ck_assert_uint_eq(csum_replace2(check, wire16_at(was), wire16_at(b + at)),
				  csum_fold(csum_partial(b, sizeof(b), 0)));
		memcpy(b + at, was, 16);

		fill_random(b + at, 4);
		ck_assert_uint_eq(csum_replace4(check, wire32_at(was), wire32_at(b + at)),
				  csum_fold(csum_partial(b, sizeof(b), 0)));
		memcpy(b + at, was, 16);

		fill_random(b + at, 16);
		ck_assert_uint_eq(csum_replace16(check, was, b + at), csum_fold(csum_partial(b, sizeof(b), 0)));
	}
}
END_TEST

START_TEST(csum_partial_replace_edits_without_complement)
{
	uint8_t a[32], b[32];

	srandom(8);
	for (int round = 0; round < 20000; round++) {
		__sum16 f4, f6;

		fill_random(a, sizeof(a));
		memcpy(b, a, sizeof(b));
		fill_random(b, 16);
		f4 = (__sum16)csum_fold16(csum_ipv4_pseudo(wire32_at(a), wire32_at(a + 16), 100, 6));
		ck_assert_uint_eq(csum_partial_replace4(f4, wire32_at(a), wire32_at(b)),
				  csum_fold16(csum_ipv4_pseudo(wire32_at(b), wire32_at(b + 16), 100, 6)));
		f6 = (__sum16)csum_fold16(csum_ipv6_pseudo(a, a + 16, 1000, 17));
		ck_assert_uint_eq(csum_partial_replace16(f6, a, b), csum_fold16(csum_ipv6_pseudo(b, b + 16, 1000, 17)));
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("csum");
	TCase *tc = tcase_create("csum");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(tc, csum_rfc1071_example);
	tcase_add_test(tc, csum_agrees_with_the_definition_at_every_length);
	tcase_add_test(tc, csum_agrees_at_every_alignment);
	tcase_add_test(tc, csum_carries_all_the_way);
	tcase_add_test(tc, csum_of_pieces_is_the_sum_of_the_whole);
	tcase_add_test(tc, csum_ipv4_header_is_csum_partial);
	tcase_add_test(tc, csum_ipv4_pseudo_is_that_of_its_bytes);
	tcase_add_test(tc, csum_ipv6_pseudo_is_that_of_its_bytes);
	tcase_add_test(tc, csum_udp_zero_is_sent_as_ones);
	tcase_add_test(tc, csum_replace_rfc1624_example);
	tcase_add_test(tc, csum_replace_is_recomputing);
	tcase_add_test(tc, csum_partial_replace_edits_without_complement);
	suite_add_tcase(s, tc);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
