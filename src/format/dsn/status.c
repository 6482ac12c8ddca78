/* SPDX-License-Identifier: ISC */
#include "format/dsn/status.h"

/* Subject and detail; the class (now, later, never) is told elsewhere. */
static const struct {
	Str code, words;
} known[] = {
	{ S("1.1"), S("there is no such mailbox") },
	{ S("1.2"), S("there is no such mail domain") },
	{ S("1.3"), S("the address is not well formed") },
	{ S("1.6"), S("the mailbox has moved") },
	{ S("1.8"), S("the sender's address was not believed") },
	{ S("1.10"), S("the domain takes no mail at all") },
	{ S("2.1"), S("the mailbox is closed") },
	{ S("2.2"), S("the mailbox is full") },
	{ S("2.3"), S("the message is too large for the mailbox") },
	{ S("3.1"), S("the server has no room") },
	{ S("3.2"), S("the server takes no mail now") },
	{ S("3.4"), S("the message is too large for the server") },
	{ S("4.1"), S("the server does not answer") },
	{ S("4.2"), S("the connection to the server broke off") },
	{ S("4.3"), S("the DNS gives no answer") },
	{ S("4.4"), S("there is no way to the server") },
	{ S("4.6"), S("the mail goes round in a circle") },
	{ S("4.7"), S("it could not be delivered in time") },
	{ S("6.3"), S("the message would have to be converted, which is not done") },
	{ S("6.7"), S("the server cannot take international addresses") },
	{ S("7.1"), S("the server does not accept this message") },
	{ S("7.4"), S("the server offers no encryption, which is required") },
	{ S("7.8"), S("the server did not accept our login") },
	{ S("7.26"), S("the message's authentication failed") },
	{ S("0"), S("no reason was given") },
	{ S("1"), S("the address was not accepted") },
	{ S("2"), S("the mailbox cannot take it") },
	{ S("3"), S("the server cannot take it") },
	{ S("4"), S("the server could not be reached") },
	{ S("5"), S("the servers did not understand one another") },
	{ S("6"), S("the content was not accepted") },
	{ S("7"), S("the server's policy forbids it") },
};

Str
dsn_status_words(Str status)
{
	Str class, code, subject, detail;

	if (!str_split(status, '.', &class, &code))
		return S("no reason was given");
	if (!str_split(code, '.', &subject, &detail))
		subject = code;
	for (size_t i = 0; i < COUNT(known); i++)
		if (str_eq(known[i].code, code) || str_eq(known[i].code, subject))
			return known[i].words;
	return S("no reason was given");
}
