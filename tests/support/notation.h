/// MessagePack written as text, so that tests read like what they send.
///
///   nil true false 12 -3 1.5 nan inf     scalars (a dot, nan or inf makes a float64)
///   u18446744073709551615                an unsigned int above int64
///   f1.5                                 a float32
///   'text' b'bytes'                      str and bin; \xNN escapes, \' and \\ too
///   [a b c]  {k v k v}                   array, map (keys are any value; a bare word is a str)
///   e1(1 2 3)  e2(1.5 2.5)               ext 1 and ext 2 columns
///   x-1'....'                            any ext type with raw payload
///   #c1ff                                raw bytes in hex
/// Commas and colons count as white space.
#ifndef CH_TEST_NOTATION_H
#define CH_TEST_NOTATION_H

#include "ch/buffer.h"

/// Append the message to `out`; fails the test on bad notation. Several values may stand in a row.
void notation_build(ch_buffer_t *out, const char *text);

/// The same into a fresh place; the bytes live until notation_release.
ch_bytes_t notation(const char *text);
ch_bytes_t notation_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
void notation_release(void);

#endif
