// Package table is the outcome of a comparison: rows with a figure for each system, goals, and what
// the two have to say to each other; as text, Markdown, JSON and a chart.
//
// It measures nothing and knows no system but by its name.
package table
