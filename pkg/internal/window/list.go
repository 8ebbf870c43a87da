package window

// list is a doubly linked list of elements that hold their own links, so that it allocates nothing.
type list[T any, L linked[T]] struct{ first, last *T }

// links are an element's neighbours in one list.
type links[T any] struct{ prev, next *T }

// linked finds the links of an element for one kind of list: an element may be in several.
type linked[T any] interface{ of(element *T) *links[T] }

func (l *list[T, L]) push(e *T) {
	var at L
	at.of(e).prev = l.last
	if l.last == nil {
		l.first = e
	} else {
		at.of(l.last).next = e
	}
	l.last = e
}

func (l *list[T, L]) remove(e *T) {
	var at L
	own := at.of(e)
	if own.prev == nil {
		l.first = own.next
	} else {
		at.of(own.prev).next = own.next
	}
	if own.next == nil {
		l.last = own.prev
	} else {
		at.of(own.next).prev = own.prev
	}
	*own = links[T]{}
}

type (
	eventsByAge struct{} // every event that has not left, oldest first
	eventsOfKey struct{} // the same, of one key
	readyKeys   struct{} // keys with an event that may leave, in the order in which they became ready
)

func (eventsByAge) of(e *Event) *links[Event]     { return &e.byAge }
func (eventsOfKey) of(e *Event) *links[Event]     { return &e.ofKey }
func (readyKeys) of(k *keyQueue) *links[keyQueue] { return &k.links }
