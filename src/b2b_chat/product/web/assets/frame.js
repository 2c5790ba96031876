// For pages that do nothing of their own.
import "./page.js";
