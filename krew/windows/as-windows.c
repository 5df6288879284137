/* For tests under wine alone, never shipped: as-windows.exe PROGRAM -- ARGUMENTS starts a program as cmd and PowerShell do, with the variable
 * that wine calls PATH under the name that Windows gives it, Path; exits with its code. */
#include <stdio.h>
#include <windows.h>

static BOOL WINAPI for_the_child(DWORD event) { return TRUE; }

int wmain(int count, wchar_t **words) {
  if (count < 2) return 99;
  for (wchar_t *variable = GetEnvironmentStringsW(); *variable; variable += wcslen(variable) + 1) {
    if (_wcsnicmp(variable, L"PATH=", 5)) continue;
    wchar_t *value = _wcsdup(variable + 5);
    SetEnvironmentVariableW(L"PATH", NULL);
    SetEnvironmentVariableW(L"Path", value);
    break;
  }
  /* What follows the mark goes on as it came: nothing is quoted anew. */
  wchar_t *rest = wcsstr(GetCommandLineW(), L" -- ");
  static wchar_t line[32768];
  _snwprintf(line, 32767, L"\"%ls\" %ls", words[1], rest ? rest + 4 : L"");
  /* Ctrl-C comes to both. */
  SetConsoleCtrlHandler(for_the_child, TRUE);
  STARTUPINFOW start = {.cb = sizeof start};
  PROCESS_INFORMATION child;
  if (!CreateProcessW(words[1], line, NULL, NULL, TRUE, 0, NULL, NULL, &start, &child)) {
    fprintf(stderr, "%ls cannot be started: %lu\n", words[1], GetLastError());
    return 99;
  }
  DWORD code = 99;
  WaitForSingleObject(child.hProcess, INFINITE);
  GetExitCodeProcess(child.hProcess, &code);
  return (int)code;
}
