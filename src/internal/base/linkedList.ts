/** An element of a {@link LinkedList}. It stores its own links. */
export interface Linked<A> {
  previous: A | undefined
  next: A | undefined
}

/** A doubly linked list. Every operation takes constant time and allocates nothing. */
export class LinkedList<A extends Linked<A>> {
  head: A | undefined = undefined
  tail: A | undefined = undefined
  length = 0

  push(element: A): void {
    element.previous = this.tail
    if (this.tail === undefined) this.head = element
    else this.tail.next = element
    this.tail = element
    this.length += 1
  }

  shift(): A | undefined {
    const element = this.head
    if (element !== undefined) this.remove(element)
    return element
  }

  remove(element: A): void {
    if (element.previous === undefined) this.head = element.next
    else element.previous.next = element.next
    if (element.next === undefined) this.tail = element.previous
    else element.next.previous = element.previous
    element.previous = undefined
    element.next = undefined
    this.length -= 1
  }
}
