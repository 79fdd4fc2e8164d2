// Keywords of Qt, as <QObject> and <QtGlobal> define them.
#pragma once

#define signals public
#define slots
#define emit
#define Q_FOREACH(variable, container) for (variable : container)
#define foreach Q_FOREACH
#define forever for (;;)
