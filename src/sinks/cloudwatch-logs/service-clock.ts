/**
 * What the service's clock is ahead of ours: pure.
 *
 * A request whose time is more than 15 minutes off is refused (IAM user guide, "Elements of an AWS API request signature"), so requests are
 * signed for the time that the answers tell, errors included, as the SDK does it. May import: nothing.
 */
/** The one form that a server may send (RFC 9110, 5.6.7). What `Date.parse` takes besides may be a time that no date can hold. */
const HTTP_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

export class ServiceClock {
  #offsetMs = 0;

  /** In milliseconds, to within a second or two. */
  get offsetMs(): number {
    return this.#offsetMs;
  }

  /** Takes in the headers of an answer that came at `nowMs` of our clock; one that a cache kept (RFC 9111, 5.1) tells nothing. */
  observe(headers: Readonly<Record<string, string | readonly string[] | undefined>>, nowMs: number): void {
    const { date, age } = headers;
    if (typeof date !== 'string' || age !== undefined || !HTTP_DATE.test(date)) return;
    const serviceMs = Date.parse(date);
    if (!Number.isNaN(serviceMs)) this.#offsetMs = serviceMs - nowMs;
  }
}
