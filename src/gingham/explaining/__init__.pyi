from .explanation import Explanation as Explanation
from .explanation import ImageExplanations as ImageExplanations
from .overlay import draw_overlay as draw_overlay
from .page import ExplanationPage as ExplanationPage
