const longestText = 256;

/** A text of strangers, short and without what a terminal or a database would take amiss. */
export function bounded(text: string): string {
  return text
    .slice(0, longestText)
    .toWellFormed()
    .replace(/\p{Cc}/gu, ' ');
}
