/* For tests under wine 8 alone, never shipped: it has no bcryptprimitives.dll, of which Rust's library takes its random numbers. Every Windows
 * since 7 has one. */
#include <stdbool.h>
#include <windows.h>
#include <ntsecapi.h> /* RtlGenRandom, by its other name */

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T count) {
  for (SIZE_T done = 0; done < count;) {
    ULONG part = (ULONG)(count - done < 65536 ? count - done : 65536);
    if (!RtlGenRandom(bytes + done, part)) return FALSE;
    done += part;
  }
  return TRUE;
}
