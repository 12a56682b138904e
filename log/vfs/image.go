package vfs

import "maps"

const pageSize = 8 * SectorSize

// page is a part of a file's content. A shared page belongs to several images and is never
// changed again; whoever wants to write to it copies it first.
type page struct {
	shared bool
	b      [pageSize]byte
}

// share writes only once: after that, disks that were cloned from one another may look at the flag
// at the same time.
func (p *page) share() {
	if !p.shared {
		p.shared = true
	}
}

// image is the content of a file at some moment. A page that is missing reads as zeros, so that
// a preallocated file costs nothing until it is written.
type image struct {
	size  int64
	pages map[int64]*page
}

func newImage() image { return image{pages: make(map[int64]*page)} }

// clone returns an image with the same content; the two share pages.
func (im *image) clone() image {
	for _, p := range im.pages {
		p.share()
	}
	return image{size: im.size, pages: maps.Clone(im.pages)}
}

// adopt makes page n of im that of from.
func (im *image) adopt(from *image, n int64) {
	p := from.pages[n]
	if p == nil {
		delete(im.pages, n)
		return
	}
	p.share()
	im.pages[n] = p
}

// own returns page n ready to be changed.
func (im *image) own(n int64) *page {
	p := im.pages[n]
	switch {
	case p == nil:
		p = new(page)
	case p.shared:
		p = &page{b: p.b}
	default:
		return p
	}
	im.pages[n] = p
	return p
}

// read fills b from off; what is past the size reads as zeros.
func (im *image) read(b []byte, off int64) {
	for len(b) > 0 {
		n, at := off/pageSize, off%pageSize
		part := b[:min(int64(len(b)), pageSize-at)]
		if p := im.pages[n]; p != nil {
			copy(part, p.b[at:])
		} else {
			clear(part)
		}
		b, off = b[len(part):], off+int64(len(part))
	}
}

// write puts b at off and extends the size where needed.
func (im *image) write(b []byte, off int64) {
	im.size = max(im.size, off+int64(len(b)))
	for len(b) > 0 {
		n, at := off/pageSize, off%pageSize
		done := copy(im.own(n).b[at:], b)
		b, off = b[done:], off+int64(done)
	}
}

// truncate sets the size; what lies behind a shorter one is gone.
func (im *image) truncate(size int64) {
	if size < im.size {
		for n := range im.pages {
			if n*pageSize >= size {
				delete(im.pages, n)
			}
		}
		if at := size % pageSize; at != 0 && im.pages[size/pageSize] != nil {
			clear(im.own(size / pageSize).b[at:])
		}
	}
	im.size = size
}
