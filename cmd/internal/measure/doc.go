// Package measure is what the load generators of this project have in common: which operations a
// run consists of, the recorder of latencies, rates and gaps, and the report. A figure of one
// loader can be put beside that of another because both counted with this code.
//
// It knows no protocol and no server.
package measure
