// How a program of this folder says which of its features work: one line of JSON each.

export const MODEL = "gpt-5.2";
export const QUESTION = "What is a border?";
export const TOOL_QUESTION = "What is the weather in Omsk? [[simulate: tool]]";
export const OBJECT_QUESTION = "Who wrote Oblomov?";

export async function run(features) {
  for (const [feature, act] of Object.entries(features)) {
    let problem = null;
    try {
      await act();
    } catch (error) {
      problem = error.stack ?? String(error);
    }
    console.log(JSON.stringify({ feature, problem }));
  }
}
