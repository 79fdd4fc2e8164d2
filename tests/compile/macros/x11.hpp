// Macros of <X11/X.h>, <X11/Xlib.h> and <X11/Xutil.h>.
#pragma once

#define Bool int
#define Status int
#define True 1
#define False 0
#define None 0L
#define Success 0
#define Always 2
#define NotUseful 0
#define WhenMapped 1
#define Above 0
#define Below 1
#define TopIf 2
#define Opposite 4
#define Complex 0
#define Nonconvex 1
#define Convex 2
#define Unsorted 0
#define YSorted 1
#define CurrentTime 0L
#define AllTemporary 0L
#define NoSymbol 0L
#define NoEventMask 0L
#define KeyPress 2
#define KeyRelease 3
#define FocusIn 9
#define FocusOut 10
#define Expose 12
#define GrabSuccess 0
#define AlreadyGrabbed 1
#define BadRequest 1
#define BadValue 2
#define BadAlloc 11
#define QueuedAlready 0
#define QueuedAfterFlush 2
#define NormalState 1
#define DontCareState 0
#define CursorShape 0
#define AllValues 0x000F
#define NoValue 0x0000
#define IsViewable 2
#define DestroyAll 0
#define InputOnly 2
#define LockMask (1 << 1)
