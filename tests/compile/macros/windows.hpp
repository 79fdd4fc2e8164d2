// Macros of <windows.h> and what it includes.
#pragma once

#define min(a, b) (((a) < (b)) ? (a) : (b))
#define max(a, b) (((a) > (b)) ? (a) : (b))
#define small char
#define near
#define far
#define pascal __stdcall
#define cdecl
#define hyper __int64
#define interface struct
#define IN
#define OUT
#define OPTIONAL
#define VOID void
#define CONST const
#define DELETE (0x00010000L)
#define ERROR 0
#define NO_ERROR 0L
#define TRUE 1
#define FALSE 0
#define STRICT 1
#define IGNORE 0
#define INFINITE 0xFFFFFFFF
#define MAXDWORD 0xffffffff
#define ABSOLUTE 1
#define RELATIVE 2
#define DIFFERENCE 11
#define DOMAIN 1
#define OVERFLOW 3
#define UNDERFLOW 4
#define PURE = 0
#define TEXT(quote) L##quote
#define SUCCEEDED(hr) ((hr) >= 0)
#define FAILED(hr) ((hr) < 0)
#define Yield()
#define SendMessage SendMessageW
#define GetMessage GetMessageW
#define PostMessage PostMessageW
#define CreateEvent CreateEventW
#define CreateMutex CreateMutexW
#define CreateProcess CreateProcessW
#define GetObject GetObjectW
#define GetCurrentTime GetTickCount
