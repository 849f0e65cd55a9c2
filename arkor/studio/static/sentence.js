// What went wrong, or what is so, as a sentence on a page: errors begin small and end openly.
export const sentence = (text) => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;
